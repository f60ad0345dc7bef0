"""Fault 1: whatever point of a run it is killed at, going on with it ends as if it had never been killed.

On PostgreSQL those points are killed at every time that are about its server; `nox -s faults` does all.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_places import WAREHOUSES, DuckDBPlace, Place, PostgresPlace

import sqlbuild
from sqlbuild.domain.results import SUCCESSES, Status
from sqlbuild.state.journal import read_journal
from sqlbuild.testing.project_folder import ProjectFolder

SOURCE = Path(sqlbuild.__file__).parent
SOURCES_OF_ONE = {"duckdb": ("duckdb*.py", "target_lock.py"), "postgres": ("postgres*.py",)}
"""Files that no other warehouse has to do with; the lock of a target is a file only beside a file."""


def points_of(warehouse: str) -> list[str]:
    """All points that a run there can pass."""
    patterns = [pattern for other in WAREHOUSES if other != warehouse for pattern in SOURCES_OF_ONE[other]]
    return sorted(
        {
            name
            for path in SOURCE.rglob("*.py")
            if not any(path.match(pattern) for pattern in patterns)
            for name in re.findall(r'\bfailpoint\("([^"]+)"\)', path.read_text(encoding="utf-8"))
        }
    )


POINTS = [(warehouse, point) for warehouse in WAREHOUSES for point in points_of(warehouse)]
ABOUT_THE_SERVER = re.compile(r"delta|load|lock|model|warehouse|results|run\.stored|replay\.stored")
EVERY_POINT = pytest.mark.parametrize(("warehouse", "point"), POINTS)
DEPENDS_ON_THE_CLOCK = {"results.stored"}
"""How often they are passed; the last time may not come."""
AT_THE_END = {"results.stored", "run.stored", "run.ended", "node.recorded", "replay.told", "replay.run_stored"}
"""Where a signal may come too late to stop anything."""
FIRST_KILL = ("node.recorded", 5)
"""For points that only a run is at that goes on with a killed one."""

PROJECT = {
    "sources/raw.yml": "sources:\n  - {name: raw_events, managed: true, write_strategy: append}\n",
    "seeds/kinds.csv": "kind,label\n0,none\n1,some\n2,all\n",
    "seeds/kinds.yml": """
        seeds:
          - {name: kinds, columns: [{name: kind, type: INTEGER}, {name: label, type: VARCHAR}]}
    """,
    "functions/sql/kind_of.sql": 'FUNCTION (arguments (id BIGINT), returns INTEGER);\n@py.rest("id", 3)\n',
    "macros/python/rests.py": "def rest(x, n):\n    return f'{x} % {n}'\n",
    "models/stg_events.sql": """
        MODEL (materialized view);
        SELECT id, day, __udf("kind_of")(id) AS kind FROM __source("raw_events")
    """,
    "models/events.sql": 'MODEL (materialized table);\nSELECT id, day, kind FROM __ref("stg_events")\n',
    "models/totals.sql": """
        MODEL (
          materialized table,
          columns (day (audits [not_null]), kind (audits [not_null, accepted_values (values [0, 1, 2])])),
        );
        SELECT day, kind, count(label) AS events FROM __ref("events") JOIN __seed("kinds") USING (kind) GROUP BY day, kind
    """,
    "models/grown.sql": """
        MODEL (
          materialized incremental, incremental_strategy append, cursor id, cursor_type integer,
          append_cursor_inclusive false, incremental_mode microbatch, batch_size 500,
        );
        SELECT id, day, kind FROM __ref("events")
    """,
    "python/nodes.py": """
        import os
        from sqlbuild.assets import asset
        from sqlbuild.checks import check
        from sqlbuild.loaders import loader
        from sqlbuild.refs import model
        from sqlbuild.tasks import task

        DAY = int(os.environ.get("DAY", "1"))

        def called(what):
            with open(os.environ["CALLS"], "a") as calls:
                calls.write(f"{what}\\n")

        @loader
        def raw_events(ctx):
            called("raw_events")
            day = int(os.environ["DAY"])
            yield [{"id": day * 1_000 + n, "day": day} for n in range(100)]

        @task
        async def opens(ctx):
            called("opens")
            return {"key": ctx.idempotency_key}

        @asset(depends_on=(model("totals"), opens))
        def whole(ctx):
            called("whole")
            return ctx.export(f"SELECT * FROM {ctx.relation(model('totals'))} ORDER BY day, kind", "exports/whole.csv").rows

        @asset(depends_on=model("events"))
        async def parts(ctx):
            called("parts")
            return (await ctx.export(model("events"), "exports/parts", partition_by="day")).rows

        @asset(depends_on=model("events"))
        def batches(ctx):
            called("batches")
            rows = ctx.query(f"SELECT * FROM {ctx.relation(model('events'))} ORDER BY id").batches(50)
            return ctx.export(rows, "exports/batches.csv").rows

        @asset(depends_on=model("totals"))
        async def pushed(ctx):
            called("pushed")

            async def push(row):
                called(f"pushed {row[0]}-{row[1]}")
                return row[2]

            rows = await ctx.query(f"SELECT * FROM {ctx.relation(model('totals'))} ORDER BY day, kind").fetchall()
            # One at a time, so that what is kept of them is written as often in every run.
            return sum(await ctx.map(push, rows, limit=1, key=lambda row: f"{row[0]}-{row[1]}"))

        @check(depends_on=model("totals"))
        def all_are_counted(ctx):
            called("all_are_counted")
            return ctx.query(f"SELECT sum(events) = count(*) * 100 / 3 FROM {ctx.relation(model('totals'))}").scalar()
    """,
}
FIRST_DAY = {
    "seeds/kinds.csv": "kind,label\n0,zero\n1,one\n2,two\n",
    "functions/sql/kind_of.sql": "FUNCTION (arguments (id BIGINT), returns BIGINT);\nid % 3\n",
}
TABLES = ("kinds", "raw_events", "stg_events", "events", "totals", "grown")
STATE_TABLES = (
    "_sqlbuild_meta", "_sqlbuild_runs", "_sqlbuild_node_results", "_sqlbuild_commits", "_sqlbuild_fingerprints",
    "_sqlbuild_source_freshness",
)  # fmt: skip
NODES = {
    "loader:raw_events", "seed:kinds", "function:kind_of", "model:stg_events", "model:events", "model:totals", "model:grown", "task:opens",
    "asset:whole", "asset:parts", "asset:batches", "asset:pushed", "check:all_are_counted",
    "audit:totals.not_null(day)", "audit:totals.not_null(kind)", "audit:totals.accepted_values(kind)",
}  # fmt: skip
TRACED = """
import os, sys
from sqlbuild import failpoints

def note(name):
    with open(os.environ["PASSED"], "a") as passed:
        passed.write(name + "\\n")

failpoints.failpoint = note
from sqlbuild.__main__ import main
main()
"""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What stays of a project."""

    tables: dict[str, list[tuple[Any, ...]]]
    files: dict[str, object]
    ended: dict[str, str]
    payloads: dict[str, object]


class KilledProject:
    """A copy of a project that was built once, with its second day to come."""

    def __init__(self, root: Path, place: Place, environ: dict[str, str]) -> None:
        self.root = root
        self._place = place
        self._calls = root.parent / "calls.txt"
        self._passed = root.parent / "passed.txt"
        self._environ = environ | {"CALLS": str(self._calls), "PASSED": str(self._passed)}

    def sqb(self, *arguments: str, failpoint: str = "") -> tuple[int, str]:
        return self._run(["-m", "sqlbuild", *arguments], {"SQB_FAILPOINT": failpoint})

    def traced(self, *arguments: str) -> collections.Counter[str]:
        code, output = self._run(["-c", TRACED, *arguments], {})
        assert code == 0, output
        return collections.Counter(self._passed.read_text().split())

    def _run(self, command: list[str], environ: dict[str, str]) -> tuple[int, str]:
        ended = subprocess.run(
            [sys.executable, *command],
            cwd=self.root,
            env={**self._environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )
        return ended.returncode, ended.stdout + ended.stderr

    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines() if self._calls.exists() else []

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self._place.rows(sql, *parameters)

    @property
    def run_id(self) -> str:
        return run_ids(self.root)[-1]

    @property
    def journal(self) -> Path:
        return self.root / "target/runs" / self.run_id / "journal.jsonl"

    def starts(self, run_id: str = "") -> list[str]:
        """The nodes of a run, or of the last one, that began, in the order of beginning."""
        journal = self.root / "target/runs" / (run_id or self.run_id) / "journal.jsonl"
        records = [json.loads(line) for line in journal.read_text().splitlines()]
        return [record["started"] for record in records if "started" in record]

    def done(self) -> set[str]:
        """Nodes of the last run whose success would survive the machine: in the journal, or committed with their data."""
        records = read_journal(str(self.journal)).records
        done = {node for node, record in records.items() if Status(json.loads(record)["status"]) in SUCCESSES}
        committed = self.rows(
            "SELECT DISTINCT node_id FROM _sqlbuild_commits WHERE run_id = $1 AND part NOT LIKE 'batch %'", self.run_id
        )
        done |= {node for (node,) in committed}
        # Audits look again at what is built again.
        return {node for node in done if not node.startswith("audit:totals.") or "model:totals" in done}

    def done_items(self) -> set[str]:
        kept = read_journal(str(self.journal)).checkpoints
        scopes = kept["asset:pushed"].texts if "asset:pushed" in kept else {}
        return {f"pushed {json.loads(key)}" for texts in scopes.values() for key in texts}

    def outcome(self, run_id: str) -> Outcome:
        manifest = json.loads((self.root / "exports/parts/_manifest.json").read_text())
        last = self.rows(
            "SELECT DISTINCT ON (node_id) node_id, status, payload FROM _sqlbuild_node_results WHERE run_id = $1 "
            "ORDER BY node_id, stored_at DESC",
            run_id,
        )
        payloads = {node: payload for node, _, payload in last if node != "task:opens"}
        return Outcome(
            tables={name: sorted(self.rows(f"SELECT * FROM {name}")) for name in TABLES},
            files={
                "whole": (self.root / "exports/whole.csv").read_text(),
                "batches": (self.root / "exports/batches.csv").read_text(),
                "parts": [(file["values"], file["rows"]) for file in manifest["files"]],
            },
            ended={node: status for node, status, _ in last},
            payloads=payloads,
        )

    def leftovers(self) -> list[str]:
        """What only a run that is alive may have."""
        found = [str(path) for path in self.root.rglob("*") if _is_unfinished(path)]
        found += [str(path) for path in sorted((self.root / "exports/parts").glob("data.*"))[1:]]
        tables = self.rows(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = $1", self._place.schema
        )
        return found + sorted({name for (name,) in tables}.difference(TABLES, STATE_TABLES))


def run_ids(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "target/runs").iterdir())


def _is_unfinished(path: Path) -> bool:
    return path.suffix in (".tmp", ".part", ".lock", ".wal", ".parquet") and "exports/parts/data." not in str(path)


class World:
    """The project on one warehouse, built on its first day, so that every table and every file has a predecessor."""

    def __init__(self, folder: Path, new_place: NewPlace, environ: dict[str, str]) -> None:
        self._folder = folder
        self._new_place = new_place
        self._environ = environ | {"DAY": "2"}
        self._copies = 0
        self._kept = contextlib.ExitStack()
        root = folder / "built"
        self._built = ProjectFolder(root)
        self._place = self._kept.enter_context(new_place(root, None))
        self._built.write({**PROJECT, **FIRST_DAY, "sqlbuild_project.toml": self._place.settings()})
        self._built.environ = environ | {"DAY": "1", "CALLS": str(folder / "calls.txt")}
        self._built.build()
        self._built.write({name: PROJECT[name] for name in FIRST_DAY})
        # So that every command analyses again, and writes down what it has found.
        (root / "target/sql_analysis.json").unlink()
        self.before = run_ids(root)[-1]
        """The run of the first day."""

    def close(self) -> None:
        self._kept.close()

    @contextlib.contextmanager
    def copy(self) -> Iterator[KilledProject]:
        self._copies += 1
        root = self._folder / str(self._copies) / "project"
        shutil.copytree(self._built.root, root)
        with self._new_place(root, self._place) as place:
            (root / "sqlbuild_project.toml").write_text(place.settings())
            yield KilledProject(root, place, self._environ)
        shutil.rmtree(root)

    @functools.cached_property
    def calm(self) -> tuple[Outcome, collections.Counter[str]]:
        """What the second day comes to if nothing happens to it, and how often a build passes each point."""
        with self.copy() as project:
            passed = project.traced("build")
            assert set(project.starts()) == NODES
            return project.outcome(project.run_id), passed

    @property
    def outcome(self) -> Outcome:
        return self.calm[0]

    @property
    def passed(self) -> collections.Counter[str]:
        return self.calm[1]

    @functools.cached_property
    def passed_by_retry(self) -> collections.Counter[str]:
        with self.copy() as project:
            assert project.sqb("build", failpoint="{}:kill@{}".format(*FIRST_KILL))[0] == -signal.SIGKILL
            return project.traced("retry")


NewPlace = Callable[[Path, Place | None], contextlib.AbstractContextManager[Place]]
"""The folder of a project, and the place that its own is a copy of -> its own place."""


@contextlib.contextmanager
def beside_the_project(root: Path, _copied: Place | None) -> Iterator[Place]:
    yield DuckDBPlace(root)


@pytest.fixture(scope="module")
def worlds(
    tmp_path_factory: pytest.TempPathFactory, faulty_environ: dict[str, str], request: pytest.FixtureRequest
) -> Iterator[Callable[[str], World]]:
    """The world of a warehouse, made when it is asked for."""

    @contextlib.contextmanager
    def on_the_server(_root: Path, copied: Place | None) -> Iterator[Place]:
        server = request.getfixturevalue("postgres_server")
        template = copied.database if isinstance(copied, PostgresPlace) else "template0"
        with server.new_database(template=template) as database:
            yield PostgresPlace(server, database)

    @functools.cache
    def world(warehouse: str) -> World:
        new_place = beside_the_project if warehouse == "duckdb" else on_the_server
        made = World(tmp_path_factory.mktemp(warehouse), new_place, faulty_environ)
        closing.callback(made.close)
        return made

    with contextlib.ExitStack() as closing:
        yield world


@pytest.fixture
def world(worlds: Callable[[str], World], warehouse: str) -> World:
    return worlds(warehouse)


@pytest.fixture
def killed(world: World) -> Iterator[KilledProject]:
    with world.copy() as project:
        yield project


def stop_and_go_on(
    killed: KilledProject, world: World, point: str, at: int, backend: str, action: str = "kill"
) -> None:
    if stop(killed, world, point, at, backend, action) == 0:
        # The signal came when everything had ended.
        assert killed.outcome(killed.run_id) == world.outcome
        return
    calls, starts, run_id = killed.calls(), killed.starts(), killed.run_id
    done, done_items = killed.done(), killed.done_items()
    has_ended = read_journal(str(killed.journal)).ended_with == 0

    code, output = killed.sqb("retry", "--backend", backend)
    if code == 2:
        assert "build again" in output, output
    if code == 2 and run_id != world.before and has_ended:
        # All of it was done; the next command tidies up.
        assert done == NODES
        code, output = killed.sqb("build", "--allow-empty", "opens", "--exclude", "opens", "--backend", backend)
    elif code == 2:
        # It had not planned anything yet.
        assert killed.calls() == calls
        code, output = killed.sqb("build", "--backend", backend)
        run_id, done, done_items = killed.run_id, set(), set()
    assert code == 0, output
    assert "Traceback" not in output
    assert not done & set(killed.starts(run_id)[len(starts) :])
    assert not done_items & set(killed.calls()[len(calls) :])
    assert killed.outcome(run_id) == world.outcome
    assert killed.leftovers() == []
    ends = killed.rows("SELECT exit_code, stopped_by FROM _sqlbuild_runs WHERE run_id = $1 ORDER BY stored_at", run_id)
    assert ends[-1] == (0, None)


def stop(killed: KilledProject, world: World, point: str, at: int, backend: str, action: str) -> int:
    """The exit code of the command that was stopped there."""
    expected = {"kill": -signal.SIGKILL, "sigterm": 143}[action]
    if point not in world.passed:
        name, count = FIRST_KILL
        assert killed.sqb("build", failpoint=f"{name}:kill@{count}")[0] == -signal.SIGKILL
    command = "build" if point in world.passed else "retry"
    code, output = killed.sqb(command, "--backend", backend, failpoint=f"{point}:{action}@{at}")
    if code == 0 and at > 1 and point in DEPENDS_ON_THE_CLOCK:
        pytest.skip(f"the build was through before it came to {point} for the {at}th time")
    if code == 0 and action == "sigterm" and point in AT_THE_END:
        return 0
    assert code == expected, output
    assert "Traceback" not in output
    return code


def passes(world: World, point: str) -> list[int]:
    count = world.passed[point] or world.passed_by_retry[point]
    assert count, f"no run of this project passes the point {point}"
    return list(range(1, count + 1))


def in_the_short_set(warehouse: str, point: str) -> bool:
    return warehouse == "duckdb" or ABOUT_THE_SERVER.match(point) is not None


@pytest.mark.parametrize(
    ("warehouse", "point"),
    [pytest.param(*each, marks=() if in_the_short_set(*each) else pytest.mark.slow) for each in POINTS],
)
def test_a_run_killed_there_ends_as_if_it_had_not_been(point, world, killed):
    stop_and_go_on(killed, world, point, 1, "asyncio")


@pytest.mark.slow
@EVERY_POINT
def test_a_run_killed_where_it_comes_by_for_the_last_time_does_too(point, world, killed):
    *_, last = passes(world, point)
    if last > 1:
        stop_and_go_on(killed, world, point, last, "trio")


@pytest.mark.slow
@EVERY_POINT
def test_a_run_killed_anywhere_between_does_too(point, world):
    for at in passes(world, point)[1:-1]:
        with world.copy() as killed:
            stop_and_go_on(killed, world, point, at, "asyncio")


@pytest.mark.slow
@EVERY_POINT
def test_a_run_that_a_signal_stops_there_is_gone_on_with_too(point, world, warehouse):
    at = (passes(world, point)[-1] + 1) // 2
    # What a server has committed is told to asyncio and to trio on ways of their own.
    on_both = warehouse == "postgres" and ABOUT_THE_SERVER.match(point)
    for backend in ("asyncio", "trio") if on_both else (("asyncio", "trio")[at % 2],):
        with world.copy() as killed:
            stop_and_go_on(killed, world, point, at, backend, "sigterm")
