"""Who waits for whom when a relation of PostgreSQL is replaced, for how long, and what is told of it."""

from __future__ import annotations

import functools

import anyio
import pytest

from sqlbuild.domain.ids import Relation
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import BuildOrder
from sqlbuild.warehouses import postgres_lock_waits

ORDERS = Relation("", "dev", "orders")


MANY = "SELECT n AS id FROM generate_series(1, 5000) AS t(n)"


async def test_a_lock_that_is_not_to_be_had_fails_the_build_and_names_who_holds_it(
    make_postgres, connection, table, rows
):
    await table(MANY)
    dashboard = make_postgres(application_name="a dashboard")
    await dashboard.open()
    session = dashboard.connect()
    reading = await session.query("SELECT id FROM dev.orders")
    try:
        with pytest.raises(
            WarehouseError, match=r"others held a lock .* for 0\.3 s: pid \d+ \(a dashboard, .*"
        ) as found:
            await table("SELECT 1 AS id")
        assert found.value.transient
        assert "idle in transaction" in str(found.value)
        assert "SELECT id FROM dev.orders" in str(found.value)
        assert await rows("SELECT count(*) FROM dev.orders") == [(5_000,)]
    finally:
        await reading.close()
        await session.close()
        await dashboard.close()
    await table("SELECT 1 AS id")
    assert await rows("SELECT id FROM dev.orders") == [(1,)]


async def test_whoever_waits_for_a_lock_is_told_for_whom_and_goes_on_when_it_is_free(
    make_postgres, connection, table, rows, monkeypatch
):
    monkeypatch.setattr(postgres_lock_waits, "TELL_SECONDS", 0.0)
    patient = make_postgres(lock_timeout=20)
    await patient.open()
    await table(MANY)
    reading = await connection.query("SELECT id FROM dev.orders")
    session = patient.connect()
    told: list[str] = []

    def tell(message: str) -> None:
        told.append(message)
        tasks.start_soon(reading.close)

    async with anyio.create_task_group() as tasks:
        await patient.build_table(session, ORDERS, "SELECT 1 AS id", order=BuildOrder(tell=tell))
    assert "waiting up to 20 s for a lock to replace dev.orders: pid " in told[0]
    assert await rows("SELECT id FROM dev.orders") == [(1,)]
    await session.close()
    await patient.close()


@pytest.fixture
async def other_build(make_postgres, connection, rows):
    """Another run's build of dev.orders with the id 7, at work until what this gives is closed."""
    patient = make_postgres(lock_timeout=20, application_name="another run")
    await patient.open()
    session = patient.connect()
    held = await connection.query("SELECT n, pg_advisory_xact_lock(7) FROM generate_series(1, 5000) AS t(n)")
    async with anyio.create_task_group() as tasks:
        waiting = "SELECT 7 AS id FROM (SELECT pg_advisory_xact_lock(7)) AS waiting"
        tasks.start_soon(patient.build_table, session, ORDERS, waiting)
        while not await rows("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            await anyio.sleep(0.01)
        yield held
        await held.close()
    await session.close()
    await patient.close()


@pytest.mark.parametrize("what", ["table", "view", "load"])
async def test_one_relation_is_not_built_by_two_runs_at_once(other_build, warehouse, table, load, rows, what):
    session = warehouse.connect()
    attempt = {
        "table": functools.partial(warehouse.build_table, session, ORDERS, "SELECT 1 AS id"),
        "view": functools.partial(warehouse.build_view, session, ORDERS, "SELECT 1 AS id"),
        "load": functools.partial(load, {"id": 1}),
    }
    message = r"dev\.orders is built by another run, which .* within 0\.3 s: pid \d+ \(another run, .*CREATE TABLE"
    with pytest.raises(WarehouseError, match=message) as found:
        await attempt[what]()
    await session.close()
    assert found.value.transient
    assert await rows("SELECT FROM pg_class WHERE relname = 'orders'") == []


async def test_whoever_waits_for_another_build_is_told_and_builds_after_it(
    other_build, make_postgres, rows, monkeypatch
):
    monkeypatch.setattr(postgres_lock_waits, "TELL_SECONDS", 0.0)
    patient = make_postgres(lock_timeout=20)
    await patient.open()
    session = patient.connect()
    told: list[str] = []

    def tell(message: str) -> None:
        told.append(message)
        tasks.start_soon(other_build.close)

    limit = "SELECT id, current_setting('lock_timeout') FROM dev.orders"
    async with anyio.create_task_group() as tasks:
        await patient.build_table(session, ORDERS, limit, order=BuildOrder(tell=tell))
    assert "waiting up to 20 s until another build of dev.orders has ended: pid " in told[0]
    assert await rows("SELECT * FROM dev.orders") == [(7, "0")]
    await session.close()
    await patient.close()


async def test_two_builds_that_share_a_view_do_not_wait_for_each_other_for_ever(make_postgres, connection, rows):
    opened = make_postgres()
    await opened.open()
    tables = [Relation("", "dev", name) for name in ("a", "b", "c")]
    for relation in tables:
        await opened.build_table(connection, relation, "SELECT 0 AS n")
    await connection.execute("CREATE VIEW dev.v AS SELECT a.n + b.n AS n FROM dev.a, dev.b")
    await connection.execute("CREATE VIEW dev.w AS SELECT v.n + c.n AS n FROM dev.v, dev.c")

    async def rebuild(relation: Relation) -> None:
        session = opened.connect()
        for number in range(5):
            await opened.build_table(session, relation, f"SELECT {number} AS n")
        await session.close()

    async with anyio.create_task_group() as tasks:
        for relation in tables:
            tasks.start_soon(rebuild, relation)
    assert await rows("SELECT n FROM dev.w") == [(12,)]
    await opened.close()


async def test_a_load_waits_for_readers_within_its_limit(load, warehouse, table):
    await table(MANY)
    session = warehouse.connect()
    reading = await session.query("SELECT id FROM dev.orders")
    try:
        with pytest.raises(WarehouseError, match=r"dev\.orders cannot be replaced: others held a lock .* pid \d+"):
            await load({"id": 2})
        assert len(await reading.fetch()) == 5000
    finally:
        await session.close()
