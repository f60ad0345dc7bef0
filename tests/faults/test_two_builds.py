"""Fault 27: two builds in one PostgreSQL database at once. In one schema they follow each other, in two they do not wait."""

from __future__ import annotations

import signal

import pytest
from faulty_places import on_postgres

pytestmark = on_postgres

FILES = {
    "sources/raw.yml": "sources:\n  - {name: raw_events, managed: true, write_strategy: append}\n",
    "models/events.sql": 'MODEL (materialized table);\nSELECT id FROM __source("raw_events")\n',
    "models/totals.sql": 'MODEL (materialized table);\nSELECT count(*) AS n FROM __ref("events")\n',
    "python/nodes.py": """
        import os, pathlib, time
        from sqlbuild.assets import asset
        from sqlbuild.loaders import loader
        from sqlbuild.refs import model

        @loader
        def raw_events(ctx):
            return [{"id": n} for n in range(100)]

        @asset(depends_on=model("events"))
        def hold(ctx):
            name = os.environ["HOLDER"]
            pathlib.Path(f"held_{name}").touch()
            while not pathlib.Path(f"release_{name}").exists():
                time.sleep(0.01)

        @asset(depends_on=(model("totals"), hold))
        def counted(ctx):
            return ctx.query(f"SELECT n FROM {ctx.relation(model('totals'))}").scalar()
    """,
}


@pytest.fixture
def build(faulty, request):
    """Start a build that is called so; with all of them ended at the end."""
    faulty.write(FILES)

    def begin(name, *arguments):
        faulty.environ["HOLDER"] = name
        process = faulty.start("build", *arguments)
        request.addfinalizer(lambda: (process.kill(), process.communicate()))
        return process

    return begin


def run_of(faulty, number):
    return sorted(path.name for path in (faulty.root / "target/runs").iterdir())[number]


def waiting_line(process):
    line = process.stdout.readline()
    assert line.startswith("waiting up to "), line + process.stderr.read()
    return line


def ended_well(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert "Traceback" not in out + err
    return out


def test_the_second_on_a_schema_waits_names_the_first_and_follows_it(faulty, build):
    first = build("first", "--select", "+counted")
    faulty.wait_for(first, "held_first")
    second = build("second", "--select", "+totals")
    assert f"target dev is held by run {run_of(faulty, 0)} (pid {first.pid} on " in waiting_line(second)
    (faulty.root / "release_first").touch()
    ended_well(first)
    ended_well(second)
    assert faulty.place.rows("SELECT count(*), count(DISTINCT id) FROM raw_events") == [(200, 100)]
    assert faulty.place.rows("SELECT n FROM totals") == [(200,)]


def test_the_second_fails_before_it_writes_anything(faulty, build):
    first = build("first")
    faulty.wait_for(first, "held_first")
    before = faulty.place.rows(WRITTEN)
    locked = faulty.sqb("build", "--select", "+totals", "--lock-timeout", "0.2")
    assert locked.exit_code == 3, locked.output
    assert f"target dev is held by run {run_of(faulty, 0)}" in locked.stderr
    assert faulty.place.rows(WRITTEN) == before
    assert len(list((faulty.root / "target/runs").iterdir())) == 1
    (faulty.root / "release_first").touch()
    ended_well(first)
    assert faulty.result("counted")["payload"] == 100


WRITTEN = """
SELECT c.oid, c.relname, pg_stat_get_tuples_inserted(c.oid)
FROM pg_class AS c
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND relname NOT IN ('totals', '_sqlbuild_node_results')
    AND relname <> '_sqlbuild_commits'
ORDER BY c.oid
"""


@pytest.mark.parametrize("backend", ["asyncio", pytest.param("trio", marks=pytest.mark.slow)])
def test_the_second_takes_over_when_the_first_is_killed(faulty, build, backend):
    first = build("first")
    faulty.wait_for(first, "held_first")
    second = build("second", "--select", "totals", "--backend", backend)
    waiting_line(second)
    first.send_signal(signal.SIGKILL)
    assert f"run {run_of(faulty, 0)} had ended without a word" in ended_well(second)
    faulty.environ["HOLDER"] = "first"
    (faulty.root / "release_first").touch()
    resumed = faulty.sqb("retry", "--run", run_of(faulty, 0), "--force")
    assert resumed.exit_code == 0, resumed.output
    assert faulty.place.rows("SELECT count(*), count(DISTINCT id) FROM raw_events") == [(100, 100)]
    assert faulty.result("counted")["payload"] == 100


def test_two_schemas_of_one_database_are_built_side_by_side(faulty, build):
    processes = [build("first"), build("second", "--target", "prod")]
    for process, name in zip(processes, ("first", "second"), strict=True):
        faulty.wait_for(process, f"held_{name}")
    for name in ("first", "second"):
        (faulty.root / f"release_{name}").touch()
    for process in processes:
        assert "waiting" not in ended_well(process)
    for schema in ("public", "prod"):
        assert faulty.place.rows(f"SELECT count(*) FROM {schema}.raw_events") == [(100,)]
        assert faulty.place.rows(f"SELECT n FROM {schema}.totals") == [(100,)]
        assert faulty.place.rows(f"SELECT count(*) FROM {schema}._sqlbuild_runs") == [(1,)]
