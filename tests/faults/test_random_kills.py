"""Random projects in folders, built and gone on with by processes that are killed at random, against the reference model."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from reference_model import GOOD, Run, endings, left_of, made_of, outcomes, projects

from sqlbuild.domain.ids import name_of

PATIENCE_SECONDS = 60.0

SETTINGS = 'name = "faulty"\n[settings]\nconcurrency = 3\nthreads = 2\n[pools.a]\nslots = 2\n[pools.b]\nslots = 1\n'
HEAD = """\
import json
import time

import anyio
from sqlbuild.checks import check
from sqlbuild.refs import model
from sqlbuild.retries import RetryPolicy
from sqlbuild.tasks import task


def act(ctx, version):
    with open("outcomes.json") as file:
        outcome = json.load(file)[ctx.node_name]
    if outcome == "fail":
        raise OSError("told to")
    if outcome in ("soft", "hard"):
        return ctx.skip("told to", mode=outcome)
    return version
"""
TASK = """

@task(name="{name}", depends_on=({upstream}), pool={pools}, requires="{requires}", retry=RetryPolicy(initial_delay_seconds=0))
{function}
"""
CHECK = """

@check(name="{name}", depends_on=({upstream}))
def {name}(ctx):
    return act(ctx, {version}) == {version}
"""
SYNC = "def {name}(ctx):\n    time.sleep(0.005)\n    return act(ctx, {version})"
ASYNC = "async def {name}(ctx):\n    await anyio.sleep(0.005)\n    return act(ctx, {version})"
MODEL = """\
MODEL (materialized table);
SELECT {version} AS version
FROM read_csv('broken.csv', header = true, all_varchar = true) AS told{upstream}
WHERE CASE WHEN told.name = '{name}' THEN error('told to') ELSE true END
"""


@st.composite
def folders(draw):
    """As many nodes as a process needs some time for; models read models only."""
    nodes = {name: node for name, node in draw(projects(least=10)).items() if node.kind != "audit"}
    nodes = dict(list(nodes.items())[:16])
    for node in list(nodes.values()):
        if node.kind == "model":
            read = tuple(near for near in node.upstream if nodes[near].kind == "model")
            nodes[node.name] = dataclasses.replace(node, upstream=read)
    return nodes


def told_of(nodes, outcomes):
    """How nodes end that have no time for more than one attempt, and checks and models that only fail or do not."""
    told = {}
    for index, node in enumerate(nodes.values()):
        outcome = outcomes[index % len(outcomes)]
        known = ("fail",) if node.kind in ("model", "check") else ("fail", "soft", "hard")
        told[node.name] = outcome if outcome in known else "ok"
    return told


class Folder:
    """A project whose processes are killed, and what the reference model knows of it."""

    def __init__(self, root, nodes):
        self.root = root
        self.nodes = nodes
        self.outcomes = {}
        self.runs = []
        self.journal = None

    def write(self):
        text = HEAD
        (self.root / "models").mkdir(parents=True, exist_ok=True)
        (self.root / "python").mkdir(exist_ok=True)
        (self.root / "sqlbuild_project.toml").write_text(SETTINGS)
        for node in self.nodes.values():
            facts = {**dataclasses.asdict(node), "pools": repr(node.pools)}
            if node.kind == "model":
                read = "".join(
                    f',\n    (SELECT count(*) AS rows FROM __ref("{near}")) AS {near}' for near in node.upstream
                )
                (self.root / f"models/{node.name}.sql").write_text(MODEL.format(**{**facts, "upstream": read}))
                continue
            above = (f'model("{near}")' if self.nodes[near].kind == "model" else near for near in node.upstream)
            facts["upstream"] = "".join(f"{near}, " for near in above)
            form = {"check": CHECK, "sync": TASK, "async": TASK}[node.kind]
            function = {"sync": SYNC, "async": ASYNC}.get(node.kind, "").format(**facts)
            text += form.format(**facts, function=function)
        (self.root / "python/nodes.py").write_text(text)
        (self.root / "outcomes.json").write_text(json.dumps(self.outcomes))
        broken = [name for name, outcome in self.outcomes.items() if outcome == "fail"]
        (self.root / "broken.csv").write_text("\n".join(["name", *broken, "nobody"]) + "\n")

    def change(self, index):
        node = self.nodes[list(self.nodes)[index % len(self.nodes)]]
        self.nodes[node.name] = dataclasses.replace(node, version=node.version + 1)

    # -- processes --

    def command(self, *arguments, kill_after=None):
        """Run one to its end, or until its journal has so many records more; its exit code and what it printed."""
        kept = {path: path.stat().st_size for path in self.journals()}
        with open(self.root / "output.txt", "w+") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "sqlbuild", *arguments],
                cwd=self.root,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            give_up_at = time.monotonic() + PATIENCE_SECONDS
            while process.poll() is None and (kill_after is None or self.records_since(kept) < kill_after):
                assert time.monotonic() < give_up_at, "it does not end"
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.002)
            process.kill()
            process.wait()
            output.seek(0)
            return process.returncode, output.read(), kept

    def journals(self):
        return sorted(self.root.glob("target/runs/*/journal.jsonl"))

    def records_since(self, kept):
        return sum(path.read_bytes()[kept.get(path, 0) :].count(b"\n") for path in self.journals())

    def warehouse(self, sql):
        with duckdb.connect(str(self.root / "faulty.duckdb")) as connection:
            return {row[0] if len(row) == 1 else row for row in connection.execute(sql).fetchall()}

    def tables(self):
        if not (self.root / "faulty.duckdb").exists():
            return set()
        return self.warehouse("SELECT table_name FROM information_schema.tables")

    # -- what must hold --

    def step(self, kill_after, backend="asyncio"):
        """Go on with the last run, or build where it succeeded; and compare."""
        self.write()
        last = self.runs[-1] if self.runs else None
        tables = self.tables()
        goes_on = last is not None and last.exit_code != 0 and bool(last.planned)
        expected = left_of(last, self.nodes, tables) if goes_on else set(self.nodes)
        code, output, kept = self.command("retry" if goes_on else "build", "--backend", backend, kill_after=kill_after)
        run = last if goes_on else None
        for path in self.journals():
            if path in kept and not goes_on:
                continue
            lines = path.read_bytes()[kept.get(path, 0) :].splitlines(keepends=True)
            records = [json.loads(line) for line in lines if line.endswith(b"\n")]
            if path.parent.name != (run.run_id if run is not None else path.parent.name):
                assert not records
                continue
            if run is None:
                run = Run(path.parent.name)
                self.runs.append(run)
            self.compare(run, records, expected, is_whole=code >= 0, output=output)
        if code >= 0:
            reference = endings(self.nodes, expected, self.outcomes)
            failed = any(status == "failed" for status, _, _ in reference.values())
            assert code == int(failed), output

    def compare(self, run, records, expected, *, is_whole, output):
        made, reference = made_of(self.nodes), endings(self.nodes, expected, self.outcomes)
        planned, ended, begun = None, {}, []
        for record in records:
            name = run.remember(record, made)
            if "planned" in record:
                planned = set(map(name_of, record["planned"]))
            elif "started" in record:
                begun.append((name, record["attempt"]))
                in_run = [near for near in self.nodes[name].upstream if near in expected]
                assert all(near in ended for near in in_run), (name, output)
            elif "finished" in record:
                assert name not in ended, output
                ended[name] = record["finished"]["status"]
        assert planned in (None, expected), output
        assert len(begun) == len(set(begun))
        for name, status in ended.items():
            wanted = {"soft": "skipped", "hard": "skipped"}.get(reference[name][0], reference[name][0])
            assert status == wanted, (name, output)
        if is_whole:
            assert ended.keys() == expected, output
        elif any(life.status == "unknown" for life in run.nodes.values()):
            marked = self.warehouse(
                f"SELECT node_id, attempt FROM {self.schema()}._sqlbuild_commits WHERE run_id = '{run.run_id}'"
            )
            for name, life in run.nodes.items():
                if life.status == "unknown" and (f"model:{name}", life.attempt) in marked:
                    life.status = "succeeded"

    def schema(self):
        (schema,) = self.warehouse(
            "SELECT table_schema FROM information_schema.tables WHERE table_name = '_sqlbuild_commits'"
        )
        return schema


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@settings(max_examples=8, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
@given(
    nodes=folders(),
    worlds=st.lists(outcomes, min_size=2, max_size=3),
    steps=st.lists(
        st.tuples(st.none() | st.integers(0, 15), st.sampled_from([None, *range(2, 32)])), min_size=8, max_size=10
    ),
)
def test_processes_that_are_killed_leave_what_the_reference_model_says(tmp_path_factory, nodes, worlds, steps):
    folder = Folder(Path(tmp_path_factory.mktemp("killed")), nodes)
    for number, (changed, kill_after) in enumerate(steps):
        folder.outcomes = told_of(nodes, worlds[number * len(worlds) // len(steps)])
        if changed is not None:
            folder.change(changed)
        folder.step(kill_after, ("asyncio", "trio")[number % 2])
    folder.outcomes = dict.fromkeys(nodes, "ok")
    folder.step(None)
    assert folder.runs[-1].exit_code == 0
    assert {life.status for name, life in folder.runs[-1].nodes.items() if name in folder.nodes} <= GOOD
    models = {name for name, node in folder.nodes.items() if node.kind == "model"}
    assert {name for name in folder.tables() if not name.startswith("_sqlbuild_")} == models
    assert not list(folder.root.glob("*.lock"))
