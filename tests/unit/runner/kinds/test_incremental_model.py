"""Random histories of an input and its builds, against a model in Python of what the table must be."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlbuild.domain.graph import Fingerprint, Node
from sqlbuild.domain.ids import NodeKind, Place, Relation, node_id
from sqlbuild.domain.incremental import (
    BatchLimit,
    CursorType,
    Incremental,
    IncrementalBuild,
    IncrementalSql,
    IncrementalStrategy,
    LimitAction,
    ReadInput,
)
from sqlbuild.domain.nodes import Materialization, Model
from sqlbuild.domain.settings import Connection
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import PLAIN_BUILD
from sqlbuild.runner.kinds.incremental_model import Growth, GrowthServices
from sqlbuild.sql.window_sql import parts_of, read_within_window
from sqlbuild.warehouses.duckdb import DuckDBWarehouse
from sqlbuild.warehouses.duckdb_deltas import DuckDBDeltas
from sqlbuild.warehouses.duckdb_staging import DuckDBStaging

APPEND, DELETE_INSERT, MERGE = IncrementalStrategy
TABLE = Relation("", "main", "mart")


def node_of(grows: Incremental) -> Node:
    read = read_within_window("events", "n", 0)
    template = IncrementalSql(
        parts=parts_of(f"SELECT key, n, value FROM {read} AS e"),
        inputs=(ReadInput(node=node_id("model", "events"), name="events", column="n", sql="events"),),
    )
    model = Model(
        name="mart",
        place=Place("models/mart.sql", 1, 1),
        sql="",
        sql_line=1,
        materialized=Materialization.INCREMENTAL,
        incremental=grows,
    )
    return Node(
        id=node_id("model", "mart"),
        kind=NodeKind.MODEL,
        name="mart",
        place=model.place,
        declaration=model,
        relation=TABLE,
        sql="",
        incremental_sql=template,
        fingerprint=Fingerprint(code="c", settings="s", upstream="u", total="t"),
    )


class History:
    """An input of rows (key, n, value), the table as it should be, and the warehouse in which it is."""

    def __init__(self, connection, grows: Incremental) -> None:
        self.connection = connection
        self.grows = grows
        self.events: list[tuple[int, int, int]] = []
        self.expected: list[tuple[int, int, int]] | None = None
        self.kept: dict[str, str] = {}
        self.builds = 0
        self.way_given = 0

    async def add(self, rows: list[tuple[int, int]]) -> None:
        for key, n in rows:
            row = (key, n, len(self.events))
            self.events.append(row)
            await self.connection.execute("INSERT INTO events VALUES (?, ?, ?)", list(row))

    async def build(self, *, full: bool = False, fails_at: int | None = None) -> None:
        self.builds += 1
        looked = 0

        async def look(_connection: object, _staged: Relation, _is_delta: bool) -> None:
            nonlocal looked
            looked += 1
            if looked == fails_at:
                raise WarehouseError("an audit has failed")

        async def give_way() -> None:
            self.way_given += 1

        growth = Growth(
            node_of(self.grows),
            IncrementalBuild(full=full),
            GrowthServices(
                deltas=DuckDBDeltas(),
                staging=DuckDBStaging(),
                run_id="R",
                commits=None,
                kept=self.kept,
                keep=lambda entries: self.kept.update(entries),
                look=look,
                give_way=give_way,
            ),
            self.builds,
            PLAIN_BUILD,
        )
        await growth.build(self.connection)
        self.kept = {}
        self.expect(full=full)

    def expect(self, *, full: bool) -> None:
        """The reference: what the table is after a build of what the input has."""
        before = self.expected
        if not self.events:
            self.expected = before if before is not None else []
            return
        reached = max((n for _, n, _ in before), default=None) if before else None
        start = min(n for _, n, _ in self.events) if full or reached is None else reached
        if not full and reached is not None and self.grows.lookback is not None:
            start -= int(self.grows.lookback)
        if self.grows.strategy is APPEND and reached is not None and not full and not self.grows.append_inclusive:
            start += 1
        delta = [row for row in self.events if row[1] >= start]
        kept = [] if full or before is None else before
        match self.grows.strategy:
            case IncrementalStrategy.DELETE_INSERT:
                kept = [row for row in kept if row[1] < start]
            case IncrementalStrategy.MERGE:
                keys = {key for key, _, _ in delta}
                kept = [row for row in kept if row[0] not in keys]
        self.expected = kept + delta

    async def check(self) -> None:
        found = await (await self.connection.query("SELECT * FROM mart ORDER BY ALL")).fetch()
        assert found == sorted(self.expected or [])
        (names,) = await (await self.connection.query("SELECT list(table_name) FROM duckdb_tables()")).fetch()
        assert sorted(names[0]) == ["events", "mart"]


async def play(grows: Incremental, steps: list[tuple[str, list[tuple[int, int]]]]) -> History:
    warehouse = DuckDBWarehouse(Connection(name="m", adapter="duckdb", options={"database": ":memory:"}), ".")
    await warehouse.open()
    connection = warehouse.connect()
    try:
        await connection.execute("CREATE TABLE events (key BIGINT, n BIGINT, value BIGINT)")
        history = History(connection, grows)
        for step, rows in [*steps, ("build", [])]:
            await history.add(rows)
            if step == "fail":
                with_rows = bool(history.events)
                try:
                    await history.build(fails_at=1)
                except WarehouseError:
                    assert with_rows or history.expected is None
                    if history.expected is None:
                        # What comes next is another run, which decides anew.
                        history.kept = {}
                        continue
                    await history.check()
                    # It is tried again, and nothing has come meanwhile.
                    await history.build()
            elif step == "full" and (history.events or history.expected is None):
                await history.build(full=True)
            else:
                await history.build()
            await history.check()
        return history
    finally:
        await connection.close()
        await warehouse.close()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["build", "build", "full", "fail"]),
        st.lists(st.tuples(st.integers(1, 4), st.integers(0, 30)), max_size=4),
    ),
    max_size=6,
)
NUMBERS = {"cursor": "n", "cursor_type": CursorType.INTEGER}
MODELS = [
    Incremental(strategy=APPEND, **NUMBERS, append_inclusive=False),
    Incremental(strategy=APPEND, **NUMBERS),
    Incremental(strategy=DELETE_INSERT, **NUMBERS),
    Incremental(strategy=DELETE_INSERT, **NUMBERS, lookback=5),
    Incremental(strategy=DELETE_INSERT, **NUMBERS, is_microbatch=True, batch_size=4),
    Incremental(strategy=APPEND, **NUMBERS, append_inclusive=False, is_microbatch=True, batch_size=4),
]


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(MODELS), STEPS)
def test_after_any_history_the_table_is_what_it_should_be(grows, steps):
    anyio.run(play, grows, steps)


@settings(max_examples=15, deadline=None)
@given(STEPS)
def test_merged_rows_are_those_that_came_last_with_their_key(steps):
    # Each key once in the input: what a query must see to.
    seen: set[int] = set()
    once = [
        (
            step,
            [
                (key + 100 * number, n)
                for key, n in rows
                if not (key + 100 * number in seen or seen.add(key + 100 * number))
            ],
        )
        for number, (step, rows) in enumerate(steps)
    ]
    anyio.run(play, Incremental(strategy=MERGE, unique_key=("key",), **NUMBERS), once)


async def test_a_batch_that_failed_is_the_first_one_of_the_next_attempt():
    warehouse = DuckDBWarehouse(Connection(name="m", adapter="duckdb", options={"database": ":memory:"}), ".")
    await warehouse.open()
    connection = warehouse.connect()
    await connection.execute("CREATE TABLE events (key BIGINT, n BIGINT, value BIGINT)")
    history = History(
        connection, Incremental(strategy=APPEND, **NUMBERS, append_inclusive=False, is_microbatch=True, batch_size=10)
    )
    await history.add([(1, n) for n in range(40)])
    with pytest.raises(WarehouseError, match="an audit has failed"):
        await history.build(fails_at=3)
    assert await (await connection.query("SELECT count(*) FROM mart")).fetch() == [(20,)]
    assert history.way_given == 2
    # What came since is left to the next build.
    late = (1, 99, 40)
    await connection.execute("INSERT INTO events VALUES (?, ?, ?)", list(late))
    await history.build()
    await history.check()
    assert history.way_given == 3
    await connection.close()
    await warehouse.close()


async def test_a_first_build_of_nothing_that_failed_is_tried_again():
    grows = MODELS[4]
    warehouse = DuckDBWarehouse(Connection(name="m", adapter="duckdb", options={"database": ":memory:"}), ".")
    await warehouse.open()
    connection = warehouse.connect()
    await connection.execute("CREATE TABLE events (key BIGINT, n BIGINT, value BIGINT)")
    history = History(connection, grows)
    with pytest.raises(WarehouseError, match="an audit has failed"):
        await history.build(fails_at=1)
    await history.build()
    await history.check()
    await connection.close()
    await warehouse.close()


@pytest.fixture
async def limited():
    """Makes the history of a table of which one build does two batches of ten."""
    warehouse = DuckDBWarehouse(Connection(name="m", adapter="duckdb", options={"database": ":memory:"}), ".")
    await warehouse.open()
    connection = warehouse.connect()
    await connection.execute("CREATE TABLE events (key BIGINT, n BIGINT, value BIGINT)")

    def with_action(action: LimitAction, outer: BatchLimit | None = None) -> History:
        limit = BatchLimit(batches=2, action=action)
        grows = Incremental(
            strategy=DELETE_INSERT, **NUMBERS, is_microbatch=True, batch_size=10, batch_limit=limit, outer_limit=outer
        )
        return History(connection, grows)

    yield with_action
    await connection.close()
    await warehouse.close()


async def days_of(history: History) -> list[int]:
    return [n for (n,) in await (await history.connection.query("SELECT n FROM mart ORDER BY n")).fetch()]


@pytest.mark.parametrize(
    ("action", "first", "second"),
    [
        ("cap_from_start", [0, 10], [0, 10, 20]),
        ("cap_from_end", [40, 50], [40, 50]),
        ("warn", [0, 10, 20, 30, 40, 50], [0, 10, 20, 30, 40, 50]),
    ],
)
async def test_what_is_done_when_more_batches_are_due_than_one_build_may_do(limited, action, first, second):
    history = limited(action)
    await history.add([(n, n) for n in range(0, 60, 10)])
    for expected in (first, second):
        await history.build()
        assert await days_of(history) == expected


@pytest.mark.parametrize("action", ["cap_from_start", "cap_from_end", "error"])
async def test_a_table_is_not_replaced_by_a_part_of_itself(limited, action):
    history = limited(action)
    await history.add([(n, n) for n in (0, 10)])
    await history.build()
    await history.add([(20, 20)])
    await history.build()
    with pytest.raises(WarehouseError, match="3 batches of 10 are due, and the limit is 2"):
        await history.build(full=True)
    assert await days_of(history) == [0, 10, 20]


async def test_the_whole_window_is_held_against_the_limit_of_the_project_first(limited):
    history = limited("cap_from_start", BatchLimit(batches=5))
    await history.add([(n, n) for n in range(0, 60, 10)])
    with pytest.raises(WarehouseError, match="6 batches of 10 are due, and the limit is 5"):
        await history.build()
    history = limited("cap_from_start", BatchLimit(batches=5, action="warn"))
    await history.build()
    assert await days_of(history) == [0, 10]
