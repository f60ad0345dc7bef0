from __future__ import annotations

import json
from pathlib import Path

import pytest

FILES = {
    "models/stg.sql": "MODEL (materialized view);\nSELECT 1 AS id",
    "models/fact.sql": 'MODEL (materialized table);\nSELECT id FROM __ref("stg")',
    "tasks/pushing.py": """
        from pathlib import Path

        from sqlbuild.refs import model
        from sqlbuild.tasks import task


        @task(depends_on=model("fact"), dry_run=True)
        def preview(ctx):
            print("asked", ctx.dry_run)
            if not ctx.dry_run:
                Path("pushed").touch()
            return ctx.dry_run


        @task(depends_on=preview)
        async def push(ctx):
            Path("pushed").touch()
    """,
}


def everything(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name != "sql_analysis.json"
    }


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_dry_run_before_the_first_build_leaves_nothing_behind(project, backend):
    before = everything(project.write(FILES).root)
    finished = project.build("--dry-run", "--backend", backend)
    assert everything(project.root) == before
    lines = [" ".join(line.split()) for line in finished.out.splitlines()]
    assert "1/4 would run model stg never built; as a view, its SQL is right" in lines
    unknown = "2/4 would run model fact never built; as a table, its SQL is not checked: model:stg does not exist yet"
    assert unknown in lines
    assert "4/4 would run task push never built" in lines
    assert lines[0].startswith("dry run ")
    assert lines[-1].endswith(": 1 succeeded, 3 would run; nothing was written")


def test_a_dry_run_after_a_build_reads_what_is_there_and_changes_nothing(project):
    project.write(FILES).build()
    (project.root / "pushed").unlink()
    before = everything(project.root)
    document = project.build("--dry-run", "--json").json
    assert everything(project.root) == before
    assert document["dry_run"] is True
    assert {result["name"]: result["status"] for result in document["results"]} == {
        "stg": "would_run",
        "fact": "would_run",
        "preview": "succeeded",
        "push": "would_run",
    }
    assert [result["payload"] for result in document["results"] if result["name"] == "preview"] == [True]
    assert project.rows("SELECT count(*) FROM _sqlbuild_runs") == [(1,)]


def test_wrong_sql_fails_where_its_inputs_are_there(project):
    project.write(FILES).build()
    project.write({"models/fact.sql": 'MODEL (materialized table);\nSELECT\n  nosuch(id) AS x\nFROM __ref("stg")'})
    finished = project.sqb("build", "--dry-run")
    assert finished.code == 1
    assert "models/fact.sql:3: WarehouseError: Catalog Error: Scalar Function with name nosuch" in finished.out
    assert "1 would run; nothing was written" in finished.out
    assert project.rows("SELECT id FROM fact") == [(1,)]


def test_events_of_a_dry_run_say_so(project):
    finished = project.write(FILES).build("--dry-run", "--events")
    events = [json.loads(line) for line in finished.out.splitlines()]
    assert [event["dry_run"] for event in events if event["event"] in ("run_started", "run_finished")] == [True, True]
    assert [event["message"] for event in events if event["event"] == "node_logged"] == ["asked True"]


def test_a_loader_that_honours_it_is_asked_for_rows_and_nothing_is_loaded(project):
    project.write(
        {
            "sources/raw.yml": "sources:\n  - {name: raw, managed: true}\n  - {name: own, managed: true}\n",
            "loaders/raw.py": """
                from sqlbuild.loaders import loader


                @loader(dry_run=True)
                def raw(ctx):
                    for number in range(3 if ctx.dry_run else 5):
                        yield {"id": number}


                @loader(dry_run=True)
                def own(ctx):
                    if not ctx.dry_run:
                        ctx.execute_sql(f"CREATE TABLE {ctx.destination} AS SELECT 1 AS id")
            """,
            "models/m.sql": 'SELECT id FROM __source("raw")',
        }
    )
    document = project.build("--dry-run", "--json").json
    results = {result["name"]: result for result in document["results"]}
    assert (results["raw"]["status"], results["raw"]["metadata"]["rows"]) == ("succeeded", 3)
    assert (results["own"]["status"], results["raw"]["warnings"]) == ("succeeded", [])
    assert results["m"]["skip_reason"].endswith("its SQL is not checked: source:raw is not loaded yet")
    assert not (project.root / "shop.duckdb").exists()
    project.build()
    assert project.build("--dry-run", "m").out.splitlines()[1].endswith("as a view, its SQL is right")
    assert project.rows("SELECT count(*) FROM raw") == [(5,)]
