"""`sqb compile` of SQL models of 20 columns with their column lineage: cold, unchanged, and after one model was edited.

The models stand in ten layers, each joins two of the layer above. The first table compares with what the parser alone
takes for the same statements, `sqlglot parse` (with its compiled part), and shows what is left above the start of a
project without models, `compile, nothing to do`. The tables after it have an audit on two columns of each model, a unit
test for every second model, or macros, a seed and incremental models among them. All are whole processes.

    python benchmarks/compile.py [MODELS] [--rounds N] [--peers] [--json FILE]
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from comparing import Entry, Sample, compare, read_options
from measuring import Cost, new_project, run, sqb
from peers import DBT_FILES, PUBLISHED_PROJECT, SQLMESH_CONFIG, run_peer

COLUMNS = 20
LAYERS = 10
MACRO = 'def plus(column: str, number: int) -> str:\n    return f"{column} + {number}"\n'
SEED = "id,label\n1,one\n2,two\n"
SEED_YAML = (
    "seeds:\n  - name: labels\n    columns:\n      - {name: id, type: BIGINT}\n      - {name: label, type: VARCHAR}\n"
)
PARSE = """
import pathlib
from sqlglot import parse_one

for path in sorted(pathlib.Path("models").rglob("*.sql")):
    parse_one(path.read_text().partition(";")[2], dialect="duckdb")
"""
INCREMENTAL = (
    "materialized incremental, incremental_strategy merge, unique_key [id], cursor c01, cursor_type integer, "
    "cursor_inputs ({left} c01, {right} c01)"
)


def column_names() -> list[str]:
    return ["id", *(f"c{number:02}" for number in range(1, COLUMNS))]


def first_query(number: int) -> str:
    columns = ",\n  ".join(f"CAST(id + {number + index} AS BIGINT) AS c{index:02}" for index in range(1, COLUMNS))
    return f"SELECT\n  id,\n  {columns}\nFROM range({number + 5}) AS r(id)\n"


def later_query(left: str, right: str) -> str:
    columns = ",\n  ".join(
        f"a.c{index:02} + b.c{index:02} AS c{index:02}"
        if index % 3
        else f"CASE WHEN a.c{index:02} > 10 THEN b.c{index:02} ELSE coalesce(a.c{index:02}, 0) END AS c{index:02}"
        for index in range(1, COLUMNS)
    )
    return (
        f'SELECT\n  a.id,\n  {columns}\nFROM __ref("{left}") AS a\n'
        f'JOIN __ref("{right}") AS b ON a.id = b.id\nWHERE a.c01 IS NOT NULL\n'
    )


def model_files(count: int, kind: str) -> dict[str, str]:
    width = max(1, count // LAYERS)
    files: dict[str, str] = {}
    for number in range(count):
        layer, place = divmod(number, width)
        header = "materialized table, description 'one of the layers'"
        if kind == "audits":
            header += ", columns (id (audits [not_null]), c01 (audits [not_null]))"
        if layer == 0:
            sql = first_query(number)
        else:
            left, right = (f"m_{(layer - 1) * width + (place + step) % width:05}" for step in (0, 1))
            sql = later_query(left, right)
            if kind == "mixed":
                sql = sql.replace("a.c02 + b.c02", '@py.plus("a.c02", 2)')
                if number % 10 == 0:
                    header = INCREMENTAL.format(left=left, right=right)
                elif number % 10 == 1:
                    sql = sql.replace("WHERE", 'JOIN __seed("labels") AS l ON l.id = a.id\nWHERE')
        files[f"models/layer_{layer:02}/m_{number:05}.sql"] = f"MODEL ({header});\n{sql}"
    return files


def test_files(count: int) -> dict[str, str]:
    width = max(1, count // LAYERS)
    row = ", ".join(f"{index} AS {name}" for index, name in enumerate(column_names(), 1))
    files: dict[str, str] = {}
    for number in range(width, count, 2):
        layer, place = divmod(number, width)
        left, right = (f"m_{(layer - 1) * width + (place + step) % width:05}" for step in (0, 1))
        mocks = [f"__ref__{name} AS (SELECT {row})" for name in dict.fromkeys((left, right))]
        expected = f"__expected__m_{number:05} AS (SELECT 1 AS id, 4 AS c01)"
        files[f"tests/unit/test_{number:05}.sql"] = "TEST ();\n\nWITH\n" + ",\n".join([*mocks, expected]) + "\n"
    return files


def files_of(count: int, kind: str) -> dict[str, str]:
    files = model_files(count, kind)
    if kind == "unit tests":
        files |= test_files(count)
    if kind == "mixed":
        files |= {"macros/python/adding.py": MACRO, "seeds/labels.csv": SEED, "seeds/labels.yml": SEED_YAML}
    return files


class Project:
    """One project in a folder, what was done to it last, and what it took."""

    def __init__(self, folder: Path, count: int, compile: Callable[[Path], Cost], kept: str = "target") -> None:
        """`kept`: the folder below `folder` for what one command keeps for the next."""
        self.folder = folder
        self._kept = kept
        self._count = count
        self._compile = compile
        self._edits = 0
        self._nothing: Path | None = None
        self._costs: dict[str, Cost] = {}

    def cold(self) -> Sample:
        shutil.rmtree(self.folder / self._kept, ignore_errors=True)
        return self._keep("cold")

    def unchanged(self) -> Sample:
        return self._keep("unchanged")

    def edited(self) -> Sample:
        self._edits += 1
        edit(self.folder, self._count, 10**self._edits)
        return self._keep("edited")

    def nothing(self) -> Sample:
        """The same command in a project without models."""
        if self._nothing is None:
            self._nothing = new_project(self.folder.with_name("nothing"), {})
            self._compile(self._nothing)
        return self._keep("nothing", self._nothing)

    def above_nothing(self, name: str) -> Sample:
        """Of this round."""
        cost, nothing = self._costs[name], self._costs["nothing"]
        return Sample(value=cost.wall - nothing.wall, cpu=cost.cpu - nothing.cpu, peak=cost.peak - nothing.peak)

    def _keep(self, name: str, folder: Path | None = None) -> Sample:
        self._costs[name] = self._compile(folder or self.folder)
        return Sample.of(self._costs[name])


def edit(folder: Path, count: int, number: int) -> None:
    """Another expression of the same type in a model in the middle."""
    (path,) = folder.glob(f"models/**/m_{count // 2:05}.sql")
    text = path.read_text()
    path.write_text(text.replace("a.c01 + b.c01", f"a.c01 + b.c01 + {number}", 1))


def main() -> None:
    options = read_options(__doc__, models=1000)
    (count,) = options.sizes
    for kind in ("plain", "audits", "unit tests", "mixed"):
        title = f"compile of {count:,} models of {COLUMNS} columns, {kind}"
        with tempfile.TemporaryDirectory() as folder:
            compare(title, "s", entries(Path(folder), count, kind), options)


def entries(root: Path, count: int, kind: str) -> list[Entry]:
    files = files_of(count, kind)
    project = Project(new_project(root / "sqb", files), count, lambda folder: sqb("compile", folder))
    parse = Entry("sqlglot parse", lambda: Sample.of(run("-c", PARSE, directory=project.folder)))
    return [
        *([parse] if kind == "plain" else []),
        Entry("compile, nothing to do", project.nothing),
        Entry("compile, cold", project.cold),
        Entry("compile, unchanged", project.unchanged),
        Entry("unchanged, above nothing to do", lambda: project.above_nothing("unchanged")),
        Entry("compile, one model edited", project.edited),
        Entry("one model edited, above nothing to do", lambda: project.above_nothing("edited")),
        *(peers_of(root, count, files) if kind == "plain" else []),
    ]


def peers_of(root: Path, count: int, files: dict[str, str]) -> list[Entry]:
    published_files = {**files, "sqlbuild_project.toml": PUBLISHED_PROJECT}
    published = Project(
        new_project(root / "published", published_files),
        count,
        lambda folder: run_peer("published sqlbuild", "sqb", "compile", directory=folder),
    )
    dbt = Project(
        new_project(root / "dbt", dbt_files(files)),
        count,
        lambda folder: run_peer("dbt", "dbt", "parse", "--profiles-dir", ".", directory=folder),
    )
    sqlmesh = Project(
        new_project(root / "sqlmesh", sqlmesh_files(files)),
        count,
        lambda folder: run_peer("sqlmesh", "sqlmesh", "info", "--skip-connection", directory=folder),
        kept=".cache",
    )
    return [
        Entry(f"{name}, {what}", measure, is_peer=True, rounds=rounds)
        for name, each, rounds in (
            ("published sqlbuild compile", published, None),
            ("dbt parse", dbt, None),
            ("sqlmesh info", sqlmesh, 1),
        )
        for what, measure in (("cold", each.cold), ("unchanged", each.unchanged), ("one model edited", each.edited))
    ]


def dbt_files(files: dict[str, str]) -> dict[str, str]:
    """The same models; dbt does not look at their columns."""
    models = {
        path: text.partition(";")[2].replace('__ref("', "{{ ref('").replace('")', "') }}")
        for path, text in files.items()
    }
    return {**DBT_FILES, **models}


def sqlmesh_files(files: dict[str, str]) -> dict[str, str]:
    """The same models; what loads a project finds their columns, too."""
    models = {
        path: f"MODEL (name dev.{Path(path).stem}, kind FULL);"
        + text.partition(";")[2].replace('__ref("', "dev.").replace('")', "")
        for path, text in files.items()
    }
    return {"config.yaml": SQLMESH_CONFIG, **models}


if __name__ == "__main__":
    main()
