"""Random projects, built, changed, stopped, killed anywhere and gone on with, against a reference model that runs one node
at a time: no loop, no threads, no slots, no journal.

A kill is what the death of the process leaves: the journal up to some byte, of the warehouse's state the batches that were
written by then, and of a table that was just being built either the new one with its marker or nothing new.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import threading
from collections import Counter
from pathlib import Path

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from reference_model import ATTEMPTS, GOOD, LOOKING, Run, endings, left_of, made_of, outcomes, projects, run_set

from sqlbuild.app.building import new_run_id, order_of, plan_from
from sqlbuild.app.event_loop import SystemClock
from sqlbuild.app.options import Compiled, ProjectOptions, RunOptions
from sqlbuild.app.resuming import (
    find_again,
    find_run,
    fingerprints,
    look_after_lost_runs,
    order_of_resumed,
    plan_of_run,
    request_of,
)
from sqlbuild.authoring.declare import declaration_of
from sqlbuild.checks import check
from sqlbuild.domain import nodes as declared
from sqlbuild.domain.events import NodeStarted
from sqlbuild.domain.graph import Fingerprint, Graph
from sqlbuild.domain.graph import Node as GraphNode
from sqlbuild.domain.ids import NodeId, NodeKind, Place, Relation, name_of
from sqlbuild.domain.masking import Masker
from sqlbuild.domain.project import Project
from sqlbuild.domain.selection import Selection
from sqlbuild.domain.settings import Connection, Pool, RunSettings, Settings, Target
from sqlbuild.errors import SelectionError
from sqlbuild.executors.local import ThreadLane
from sqlbuild.refs import model
from sqlbuild.retries import RetryPolicy
from sqlbuild.runner.execute_plan import execute_plan
from sqlbuild.runner.run_order import RunServices
from sqlbuild.runner.staging import run_of_staging
from sqlbuild.state.duckdb_statements import DUCKDB_STATEMENTS
from sqlbuild.state.in_memory import InMemoryStateStore
from sqlbuild.state.journal import FileJournal
from sqlbuild.state.node_result_json import result_to_json
from sqlbuild.state.warehouse_tables import WarehouseStateStore
from sqlbuild.tasks import task
from sqlbuild.warehouses.duckdb import DuckDBWarehouse
from sqlbuild.warehouses.duckdb_staging import DuckDBStaging

LIMITS = {"concurrency": 3, "threads": 2, "connections": 1}
POOLS = {"a": 2, "b": 1}


# -- what runs for real -----------------------------------------------------------------------------------------------


class Watch:
    """Counts who is inside what at any instant, and who started when."""

    def __init__(self):
        self.lock = threading.Lock()
        self.inside = Counter()
        self.broken = []
        self.order = []
        self.attempts = Counter()

    @contextlib.contextmanager
    def entered(self, node):
        needs = ("threads" if node.kind in ("sync", "check") else "concurrency", *node.pools)
        with self.lock:
            self.attempts[node.name] += 1
            self.order.append(("start", node.name))
            for need in needs:
                self.inside[need] += 1
                if self.inside[need] > {**LIMITS, **POOLS}[need]:
                    self.broken.append(need)
        try:
            yield
        finally:
            with self.lock:
                self.order.append(("end", node.name))
                for need in needs:
                    self.inside[need] -= 1


def function_of(node, outcome, watch):
    def act(ctx):
        failures = int(outcome.split()[1]) if outcome.startswith("flaky") else 0
        if outcome == "fail" or watch.attempts[node.name] <= failures:
            raise OSError(f"{node.name} attempt {ctx.attempt}")
        if node.kind == "check":
            return ctx.warn("as told") if outcome == "soft" else True
        if outcome in ("soft", "hard"):
            return ctx.skip("as told", mode=outcome)
        return node.version

    if node.kind == "check":

        @check(name=node.name, depends_on=model("what its node in the graph says"))
        def look(ctx):
            with watch.entered(node):
                return act(ctx)

        return look
    options = {
        "name": node.name,
        "pool": node.pools,
        "requires": node.requires,
        "retry": RetryPolicy(max_attempts=ATTEMPTS, initial_delay_seconds=0),
    }
    if node.kind == "sync":

        @task(**options)
        def work(ctx):
            with watch.entered(node):
                if outcome == "query":
                    assert ctx.query("SELECT 1").fetchone() == (1,)
                return act(ctx)

        return work

    @task(**options, timeout=0.01 if outcome == "timeout" else None)
    async def wait(ctx):
        with watch.entered(node):
            if outcome == "timeout":
                await anyio.sleep(60)
            if outcome == "query":
                assert await ctx.query("SELECT 1").fetchone() == (1,)
            await anyio.lowlevel.checkpoint()
            return act(ctx)

    return wait


def graph_of(nodes, outcomes, watch):
    compiled, made, audits = {}, made_of(nodes), {}
    downstream = {node.id: () for node in nodes.values()}
    for node in nodes.values():
        above = tuple(nodes[near].id for near in node.upstream)
        total = made[node.name]
        place, sql, around = Place("x.py", 1), None, ()
        if node.kind == "model":
            # Whether it fails is not written in its code, as it is not for the others.
            sql = f"SELECT 1 AS a FROM broken WHERE CASE WHEN name = '{node.name}' THEN error('told to') ELSE true END"
            declaration = declared.Model(
                name=node.name, place=place, sql=sql, sql_line=1, materialized=declared.Materialization.TABLE
            )
        elif node.kind == "audit":
            (target,) = node.upstream
            # It finds something if it is told to, and needs what it looks at.
            around = ("SELECT b.name FROM broken AS b LEFT JOIN ", f" AS t ON true WHERE b.name = '{node.name}'")
            sql = f'"main"."{target}"'.join(around)
            declaration = declared.Audit(
                name=node.name, place=place, definition="a", sql=sql, sql_place=place, target=model(target)
            )
            audits[f"model:{target}"] = (*audits.get(f"model:{target}", ()), node.id)
        else:
            declaration = declaration_of(function_of(node, outcomes[node.name], watch))
        compiled[node.id] = GraphNode(
            id=node.id,
            kind=NodeKind(node.id.partition(":")[0]),
            name=node.name,
            place=place,
            declaration=declaration,
            depends_on=above,
            relation=Relation("", "main", node.name) if node.kind == "model" else None,
            sql=sql,
            around_target=around,
            fingerprint=Fingerprint(code=total, settings="s", upstream=total, total=total),
        )
        for near in above:
            downstream[near] = (*downstream[near], node.id)
    return Graph(nodes=compiled, downstream=downstream, audits=audits)


class KillableStore:
    """State in memory that forgets what was written after a moment, told by the size that the journal had then."""

    def __init__(self, warehouse):
        self._warehouse = warehouse
        self._batches = []
        self._inner = InMemoryStateStore()
        self.journal_path = None

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def past(self):
        self._inner.relations = await self._warehouse.relations()
        return await self._inner.past()

    async def append_results(self, records):
        size = 0 if self.journal_path is None else os.path.getsize(self.journal_path)
        self._batches.append((size, records))
        await self._inner.append_results(records)

    async def committed(self, run_id):
        rows = await select(
            self._warehouse, f"SELECT node_id, attempt FROM _sqlbuild_commits WHERE run_id = '{run_id}'"
        )
        return frozenset((NodeId(node), attempt) for node, attempt in rows)

    def settle(self):
        """What was written until now stays, whatever happens."""
        self._batches = [(0, records) for _, records in self._batches]

    async def forget_after(self, size):
        self._batches = [batch for batch in self._batches if batch[0] <= size]
        self._inner = InMemoryStateStore()
        for _, records in self._batches:
            await self._inner.append_results(records)


async def select(warehouse, sql):
    connection = warehouse.connect()
    try:
        return await (await connection.query(sql)).fetch()
    finally:
        await connection.close()


# -- the machine ------------------------------------------------------------------------------------------------------

numbers = st.integers(0, 39)
a_kill = st.tuples(st.integers(0, 99), st.booleans(), st.booleans())
"""After which part of the journal's records, in per cent; whether half of one more stands there; whether tables that were
being built were swapped in."""
kills = st.none() | a_kill
stops = st.sampled_from([None] * 5 + ["fail-fast", 1, 3, 8])
"""By what a run is stopped: a number is that of the attempt at whose start it is asked to."""


changes = st.sampled_from(["none", "none", "outcomes", "code", "table", "table", "node"]).flatmap(
    lambda what: st.tuples(st.just(what), numbers, outcomes if what == "outcomes" else st.just([]))
)
"""What happens before a command, and to which node or table."""


class RandomRuns(RuleBasedStateMachine):
    root: Path
    backend: str

    def __init__(self):
        super().__init__()
        self.folder = Path(self.root, os.urandom(6).hex())
        self.folder.mkdir()
        (self.folder / "sqlbuild_project.toml").write_text('name = "p"\n')
        connection = Connection(name="local", adapter="duckdb", options={"database": ":memory:"})
        target = Target(name="dev", connection=connection, schema="main")
        self.settings = Settings(
            name="p",
            target=target,
            targets={"dev": target},
            run=RunSettings(**LIMITS),
            pools={name: Pool(name=name, slots=slots) for name, slots in POOLS.items()},
        )
        self.options = ProjectOptions(root=str(self.folder))
        self.loop = contextlib.ExitStack()
        self.portal = self.loop.enter_context(start_blocking_portal(self.backend))
        self.warehouse = DuckDBWarehouse(connection, str(self.folder))
        self.store = KillableStore(self.warehouse)
        self.portal.call(self.open)
        self.nodes, self.outcomes, self.runs = {}, {}, []
        self.latest, self.successes = {}, {}

    async def open(self):
        await self.warehouse.open()
        await WarehouseStateStore(self.warehouse, "main", statements=DUCKDB_STATEMENTS).begin()
        await self.execute("CREATE TABLE broken (name VARCHAR)")

    def teardown(self):
        self.portal.call(self.warehouse.close)
        self.loop.close()

    # -- what happens to the project --

    @initialize(nodes=projects(), outcomes=outcomes)
    def begin(self, nodes, outcomes):
        self.nodes = nodes
        self.looking = {node.name for node in nodes.values() if node.kind in LOOKING}
        self.outcomes = {name: outcomes[index % len(outcomes)] for index, name in enumerate(nodes)}

    def change(self, what, index, outcomes):
        names, read = list(self.nodes), {near for node in self.nodes.values() for near in node.upstream}
        tables = sorted(self.portal.call(self.tables) & read)
        name = names[index % len(names)]
        match what:
            case "outcomes":
                for place, outcome in enumerate(outcomes, index):
                    self.outcomes[names[place % len(names)]] = outcome
            case "code":
                self.nodes[name] = dataclasses.replace(self.nodes[name], version=self.nodes[name].version + 1)
            case "table" if tables:
                self.portal.call(self.execute, f"DROP TABLE {tables[index % len(tables)]}")
            case "node" if any(
                each != name and (node.kind, node.upstream) != ("audit", (name,)) for each, node in self.nodes.items()
            ):
                self.remove(name)

    def remove(self, gone):
        del self.nodes[gone]
        for node in list(self.nodes.values()):
            if gone in node.upstream and node.kind == "audit":
                del self.nodes[node.name]
            elif gone in node.upstream:
                left = tuple(near for near in node.upstream if near != gone)
                self.nodes[node.name] = dataclasses.replace(node, upstream=left)

    # -- commands --

    @rule(changes=changes, chosen=st.none() | st.sets(numbers, min_size=1, max_size=4), stop=stops, kill=kills)
    def build(self, changes, chosen, stop, kill):
        self.change(*changes)
        names = list(self.nodes)
        chosen = set(names) if chosen is None else {names[index % len(names)] for index in chosen}
        self.portal.call(self.run, chosen, None, stop, kill)

    @rule(changes=changes, stop=stops, kill=kills)
    def retry(self, changes, stop, kill):
        self.change(*changes)
        self.go_on(None, stop, kill)

    @rule(
        what=st.sampled_from(["table", "table", "code"]), index=numbers, kills=st.lists(a_kill, min_size=1, max_size=2)
    )
    def retry_until_nobody_kills_it(self, what, index, kills):
        self.change(what, index, [])
        for kill in [*kills, None]:
            self.go_on(None, None, kill)

    @rule(changes=changes, which=numbers, stop=stops, kill=kills)
    def retry_a_certain_run(self, changes, which, stop, kill):
        self.change(*changes)
        self.go_on(self.runs[-1 - which % len(self.runs)] if self.runs else None, stop, kill)

    def go_on(self, run, stop, kill):
        unfinished = [run for run in reversed(self.runs) if run.has_begun and run.exit_code != 0]
        # One that died before it had a plan hides no older one.
        expected = run or next((run for run in unfinished if run.planned), next(iter(unfinished), None))
        refused = expected is None or expected.exit_code == 0 or not expected.planned or self.is_overtaken(expected)
        try:
            found = find_run(self.options, None if run is None else run.run_id)
            self.portal.call(self.run, None, found, stop, kill)
        except SelectionError:
            assert refused
        else:
            assert not refused

    async def run(self, chosen, resumed, stop, kill):
        watch = Watch()
        await self.execute("DELETE FROM broken")
        for name, outcome in self.outcomes.items():
            if outcome == "fail":
                await self.execute(f"INSERT INTO broken VALUES ('{name}')")
        graph = graph_of(self.nodes, self.outcomes, watch)
        project = Project(root=str(self.folder), settings=self.settings, declarations=())
        compiled = Compiled(project=project, graph=graph, masker=Masker())
        await look_after_lost_runs(str(self.folder), "dev", self.store, lambda event: None, SystemClock.now())
        self.store.settle()
        past = await self.store.past()
        self.check_past(past)
        tables = await self.tables()
        options = RunOptions(embedded=True, fail_fast=stop == "fail-fast")
        if resumed is None:
            lacking = {name for name, node in self.nodes.items() if self.lacks(node, tables)}
            expected = run_set(self.nodes, chosen, lacking)
            everything = len(chosen) == len(self.nodes)
            selection = Selection(select=() if everything else tuple(self.nodes[name].id for name in sorted(chosen)))
            plan = plan_from(compiled, selection, past)
            run = Run(new_run_id())
            before = 0
            order = order_of(compiled, options, run.run_id)
            request = request_of(selection, options, Masker())
            folder = str(self.folder / "target/runs" / run.run_id)
            journal = FileJournal(folder, run_id=run.run_id, target="dev", request=request, planned=fingerprints(plan))
            self.runs.append(run)
        else:
            resumed = find_again(str(self.folder), resumed)
            run = next(run for run in self.runs if run.run_id == resumed.run_id)
            plan = plan_of_run(compiled, past, resumed, force=False)
            expected = left_of(run, self.nodes, tables)
            assert plan.kept == len(run.planned & set(self.nodes)) - len(expected)
            order = order_of_resumed(order_of(compiled, options, run.run_id), plan, resumed)
            journal = FileJournal.reopen(str(self.folder / "target/runs" / run.run_id))
            before = os.path.getsize(journal.path)
            journal.resumed(run.run_id, fingerprints(plan))
        assert set(map(name_of, plan.steps)) == expected
        self.store.journal_path = journal.path
        try:
            result = await self.execute_it(plan, order, journal, stop)
        finally:
            journal.close()
        self.check_result(run, result, expected, watch, tables)
        assert not any(run_of_staging(relation.name) is not None for relation in await self.warehouse.relations())
        records = [json.loads(record) for record in Path(journal.path).read_bytes()[before:].splitlines()]
        assert Counter(
            name_of(record["finished"]["node_id"]) for record in records if "finished" in record
        ) == dict.fromkeys(expected, 1)
        begun = Counter(name_of(record["started"]) for record in records if "started" in record)
        assert {name: begun[name] for name in watch.attempts} == watch.attempts
        await self.remember(run, journal.path, before, tables, kill)

    async def execute_it(self, plan, order, journal, stop):
        asked, begun = anyio.Event(), Counter()

        def publish(event):
            begun["attempts"] += isinstance(event, NodeStarted)
            if begun["attempts"] == stop:
                asked.set()

        services = RunServices(
            warehouse=self.warehouse,
            store=self.store,
            journal=journal,
            clock=SystemClock(),
            publish=publish,
            staging=DuckDBStaging(),
            make_executor=ThreadLane,
            encode=result_to_json,
            jitter=lambda: 0.0,
            leave_now=lambda code: None,
            abandon=lambda result: None,
            stop_asked=asked.wait,
        )
        return await execute_plan(plan, order, services)

    # -- what must hold --

    def lacks(self, node, tables):
        return node.name not in (tables if node.kind == "model" else self.successes)

    def is_overtaken(self, run):
        later = self.runs[self.runs.index(run) + 1 :]
        writing = run.planned - self.looking
        return any(other.nodes[name].status is not None for other in later for name in writing & other.nodes.keys())

    def check_past(self, past):
        """The warehouse knows every success and every last end, those of lost runs too."""
        known = {name_of(node): stored for node, stored in past.nodes.items()}
        assert {name: (stored.last_run_id, stored.last_status) for name, stored in known.items()} == self.latest
        successes = {name: stored.last_success_run_id for name, stored in known.items()}
        assert {name: run_id for name, run_id in successes.items() if run_id is not None} == self.successes

    def check_result(self, run, result, expected, watch, tables):
        stopped = result.stopped_by is not None
        ended = {name_of(node): found for node, found in result.results.items()}
        reference = endings(self.nodes, expected, self.outcomes, tables)
        assert set(ended) == expected
        for name, (status, attempts, causes) in reference.items():
            found, was = ended[name], str(ended[name].status)
            wanted = {"soft": "skipped", "hard": "skipped"}.get(status, status)
            earlier = run.nodes[name].attempt
            if self.nodes[name].kind not in ("model", "audit"):
                assert watch.attempts[name] == (found.attempt - earlier if found.attempt else 0), (name, found)
            if stopped and was in ("cancelled", "not_started", "blocked"):
                continue
            # A thread may fail once more after the stop, and is not tried again then.
            assert was == wanted or (stopped and was in ("failed", "timed_out")), name
            if not stopped:
                assert found.attempt == (earlier + attempts if attempts else 0), name
            if causes is not None:
                assert {name_of(cause) for cause in found.because_of} <= causes
        assert not watch.broken
        assert not any(watch.inside.values())
        first, last = {}, {}
        for at, (what, name) in enumerate(watch.order):
            first.setdefault(name, at) if what == "start" else last.update({name: at})
        for name, node in self.nodes.items():
            for near in node.upstream:
                assert name not in first or near not in last or near not in first or last[near] < first[name]
        if not stopped:
            failed = any(end[0] in ("failed", "timed_out") for end in reference.values())
            assert result.exit_code == int(failed)

    # -- what is left after it --

    async def remember(self, run, path, before, tables, kill):
        """Let the process be killed, if it is to be, and remember what is left. `before`: how long the journal was."""
        records = Path(path).read_bytes()[before:].splitlines(keepends=True)
        is_killed = kill is not None
        percent, torn, swapped = kill or (100, False, True)
        number = len(records) * percent // 100
        if is_killed:
            size = before + sum(map(len, records[:number]))
            os.truncate(path, size + torn * len(records[number]) // 2)
            await self.store.forget_after(size)
        made = made_of(self.nodes)
        touched = [run.remember(json.loads(record), made) for record in records[:number]]
        if is_killed:
            for name in [name for name, node in self.nodes.items() if node.kind == "model"]:
                await self.undo(run, name, tables, swapped=swapped)
        for name in filter(None, touched):
            status = run.nodes[name].status
            self.latest[name] = (run.run_id, status)
            if status in GOOD:
                self.successes[name] = run.run_id

    async def undo(self, run, name, tables, *, swapped):
        """What a killed process has not done to a table; one that was being built may be `swapped` in."""
        life = run.nodes[name]
        of_model = f"FROM _sqlbuild_commits WHERE run_id = '{run.run_id}' AND node_id = 'model:{name}'"
        if life.status == "unknown" and swapped and await self.rows(f"{of_model} AND attempt = {life.attempt}"):
            life.status = "succeeded"
        done = life.attempt if life.status == "succeeded" else life.attempt - 1
        if await self.rows(f"{of_model} AND attempt > {done}"):
            await self.execute(f"DELETE {of_model} AND attempt > {done}")
            if name not in tables:
                # Somebody may have dropped it before.
                await self.execute(f"DROP TABLE IF EXISTS {name}")

    # -- the warehouse --

    async def tables(self):
        return {relation.name for relation in await self.warehouse.relations()} & set(self.nodes)

    async def rows(self, sql):
        return await select(self.warehouse, sql)

    async def execute(self, sql):
        connection = self.warehouse.connect()
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


def run_machine(folder, backend, **amount):
    class Machine(RandomRuns):
        root = folder

    Machine.backend = backend
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(Machine, settings=settings(deadline=None, suppress_health_check=checks, **amount))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_every_run_ends_and_goes_on_as_in_the_reference_model(tmp_path, backend):
    run_machine(tmp_path, backend, max_examples=25, stateful_step_count=16)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_many_more_runs_end_and_go_on_as_in_the_reference_model(tmp_path, backend):
    run_machine(tmp_path, backend, max_examples=150, stateful_step_count=30)
