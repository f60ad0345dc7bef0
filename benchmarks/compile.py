"""`sqb compile` of SQL models of 20 columns with their column lineage: cold, unchanged, and after one model was edited.

The models stand in ten layers, each joins two of the layer above. The same is compiled with an audit on two columns of
each model, with a unit test for every second model, and with macros, a seed and incremental models among them.

    python benchmarks/compile.py [MODELS] [REPEATS]
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from measuring import Cost, new_project, print_table, sqb, whole_numbers

COLUMNS = 20
LAYERS = 10
MACRO = 'def plus(column: str, number: int) -> str:\n    return f"{column} + {number}"\n'
SEED = "id,label\n1,one\n2,two\n"
SEED_YAML = (
    "seeds:\n  - name: labels\n    columns:\n      - {name: id, type: BIGINT}\n      - {name: label, type: VARCHAR}\n"
)
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
        header = "materialized table"
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


def edit(project: Path, count: int, number: int) -> None:
    """Another expression of the same type in a model in the middle."""
    (path,) = project.glob(f"models/*/m_{count // 2:05}.sql")
    text = path.read_text()
    path.write_text(text.replace("a.c01 + b.c01", f"a.c01 + b.c01 + {number}", 1))


def best(costs: list[Cost]) -> Cost:
    return min(costs, key=lambda cost: cost.cpu)


def main() -> None:
    count, repeats = whole_numbers(__doc__, models=1000, repeats=5)
    results = []
    for kind in ("nothing to do", "plain", "audits", "unit tests", "mixed"):
        with tempfile.TemporaryDirectory() as folder:
            project = new_project(Path(folder), {} if kind == "nothing to do" else files_of(count, kind))
            cold: list[Cost] = []
            for _ in range(min(repeats, 2)):
                shutil.rmtree(project / "target", ignore_errors=True)
                cold.append(sqb("compile", project))
            rows = {"cold": best(cold), "unchanged": best([sqb("compile", project) for _ in range(repeats)])}
            if kind != "nothing to do":
                edited = []
                for number in range(repeats):
                    edit(project, count, 10**number)
                    edited.append(sqb("compile", project))
                rows["one model edited"] = best(edited)
        results += [(f"{kind}, {name}", cost.wall, cost.cpu, f"{cost.peak:,.0f}") for name, cost in rows.items()]
    print_table(
        f"sqb compile of {count:,} models of {COLUMNS} columns, least of the repeats",
        ("", "wall s", "CPU s", "peak MB"),
        results,
    )


if __name__ == "__main__":
    main()
