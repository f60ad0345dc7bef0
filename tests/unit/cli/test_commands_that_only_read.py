"""list, show, dag, compile, plan, query and clean on the playground, which is built once."""

from __future__ import annotations

import collections
import json
import shutil
import subprocess
import sys

import pytest

from sqlbuild.domain.ids import NodeKind


@pytest.fixture(scope="module")
def playground(tmp_path_factory):
    root = tmp_path_factory.mktemp("playground") / "air"
    for command in (["playground", str(root)], ["--project-dir", str(root), "build", "-q"]):
        told = subprocess.run([sys.executable, "-m", "sqlbuild", *command], capture_output=True, text=True)
        assert told.returncode == 0, told.stdout + told.stderr
    return root


@pytest.fixture
def ask(sqb, playground):
    """Runs a command in the playground, expects it to succeed and gives what it prints."""

    def run(*arguments: str) -> str:
        told = sqb(*arguments, cwd=playground)
        assert (told.returncode, told.stderr) == (0, ""), told.stdout
        return told.stdout

    return run


def test_a_playground_builds_green_and_writes_its_files(playground):
    written = {path.name for path in (playground / "exports" / "dev").iterdir()}
    assert {"dashboard.html", "late_flights.csv", "departures_AMS.csv"} <= written
    statuses = json.loads((playground / "target" / "run_results.json").read_text())["counts"]
    assert statuses.keys() == {"succeeded", "skipped"}
    assert statuses["skipped"] == 1


def test_a_playground_shows_every_kind_of_node_and_of_declaration(ask):
    nodes = json.loads(ask("dag", "--json"))["nodes"]
    assert {node["kind"] for node in nodes} == {kind.value for kind in NodeKind}
    assert any(node["retry"] for node in nodes)
    assert any(node["pools"] for node in nodes)
    assert any(node["column_lineage"] for node in nodes if node["kind"] == "asset")
    assert any(node["relation"] for node in nodes if node["kind"] == "source")
    assert any(not node["relation"] for node in nodes if node["kind"] == "source")


def test_names_are_one_a_line_in_topological_order(ask):
    names = ask("list", "+dashboard").split()
    assert names[-1] == "dashboard"
    assert names.index("fact_flights") < names.index("departures_ams")
    assert ask("ls", "+dashboard").split() == names


def test_a_list_can_be_a_table_or_json(ask):
    table = ask("list", "late_flights", "--output", "table").splitlines()
    assert table[0].split() == ["kind", "name", "tags", "place", "description"]
    assert table[1].split()[:3] == ["asset", "late_flights", "export"]
    [node] = json.loads(ask("list", "late_flights", "--json"))["nodes"]
    assert node["id"] == "asset:late_flights"
    assert node["depends_on"] == ["model:fact_flights", "task:exports_folder"]


def test_a_node_is_shown_by_its_name(ask):
    told = ask("show", "asset:late_flights")
    assert told.startswith("asset:late_flights\n  The routes with the most late flights")
    assert 'payload: {"file":"late_flights.csv","routes":56}' in told
    assert json.loads(ask("show", "late_flights", "--json"))["results"][0]["payload"]["routes"] == 56


def test_a_dag_is_summarised(ask):
    lines = ask("dag").splitlines()
    document = json.loads(ask("dag", "--json"))
    assert lines[0] == f"sunrise_air: {len(document['nodes'])} nodes, {len(document['edges'])} edges"
    assert lines[-1].startswith("longest chain: ")


def test_compile_counts_and_writes_the_dag_where_asked(ask, playground, tmp_path):
    kinds = collections.Counter(node["kind"] for node in json.loads(ask("dag", "--json"))["nodes"])
    listed = ", ".join(f"{number} {kind}{'s' * (number > 1)}" for kind, number in kinds.items())
    assert ask("compile").startswith(f"{kinds.total()} nodes ({listed}) compiled in ")
    document = json.loads(ask("compile", "--json"))
    assert document["nodes"] == {"total": kinds.total(), "by_kind": dict(kinds)}
    assert (document["warnings"], document["problems"]) == ([], [])
    path = tmp_path / "dag.json"
    assert ask("compile", "--dag-path", str(path)).splitlines()[-1] == f"wrote {path}"
    assert json.loads(path.read_text()) == json.loads(ask("dag", "--json"))


def test_a_plan_says_why(ask):
    told = ask("plan", "-s", "late_flights", "--only").splitlines()
    assert told[1].startswith("asset  late_flights")
    assert "1 node would run on target dev, about " in told[-1]
    [node] = json.loads(ask("plan", "-s", "late_flights", "--only", "--json"))["nodes"]
    assert node["id"] == "asset:late_flights"
    assert node["reason"] == "selected"


def test_a_query_reads_models_and_sources_by_name(ask):
    sql = "SELECT airport, departures FROM model:airport_delays WHERE airport = 'AMS'"
    assert ask("query", sql) == "airport  departures\nAMS            2500\n(1 row)\n"
    assert ask("query", sql, "--output", "csv") == "airport,departures\nAMS,2500\n"
    assert json.loads(ask("query", sql, "-o", "json")) == [{"airport": "AMS", "departures": 2500}]
    assert json.loads(ask("query", sql, "--json")) == {
        "schema_version": 1,
        "columns": ["airport", "departures"],
        "rows": [["AMS", 2500]],
        "truncated": False,
    }


def test_a_query_of_a_model_that_is_not_there_proposes_the_nearest(sqb, playground):
    told = sqb("query", "FROM model:airport_delay", cwd=playground)
    assert (told.returncode, told.stdout) == (1, "")
    assert "this project has no model:airport_delay\n" in told.stderr
    assert 'help: did you mean "model:airport_delays"?' in told.stderr


def test_a_query_says_when_there_are_more_rows(sqb, playground):
    told = sqb("query", "SELECT range AS n FROM range(5)", "--limit", "2", cwd=playground)
    assert told.stdout == "n\n0\n1\n(2 rows)\n"
    assert told.stderr == "only the first 2 rows; --limit N shows more\n"


def test_a_file_gets_all_rows_and_is_named_from_where_the_user_stands(sqb, playground, tmp_path):
    told = sqb("--project-dir", str(playground), "query", "FROM range(5000)", "-o", "rows.csv", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("wrote 5,000 rows to ")
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 5001


def test_a_wrong_query_is_told_on_stderr_only(sqb, playground):
    told = sqb("query", "SELEC 1", cwd=playground)
    assert told.returncode == 1
    assert told.stdout == ""
    assert told.stderr.startswith("error[SQL] ")


def test_a_second_build_has_no_new_dashboard_to_write(sqb, playground, tmp_path):
    told = sqb("build", "--select", "+dashboard", cwd=shutil.copytree(playground, tmp_path / "used"))
    assert told.returncode == 0, told.stdout
    (line,) = [line for line in told.stdout.splitlines() if "not materialized" in line]
    assert "dashboard" in line.split()


def test_cleaning_says_what_it_removed(sqb, playground, tmp_path):
    used = shutil.copytree(playground, tmp_path / "used")
    told = sqb("--project-dir", str(used), "clean")
    assert told.returncode == 0, told.stderr
    assert "removed target/run_results.json" in told.stdout.splitlines()
    assert sqb("clean", cwd=used).returncode == 0
