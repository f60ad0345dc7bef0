"""What stands around a relation on PostgreSQL when another takes its place: views on it, grants, indexes, locks."""

from __future__ import annotations

import functools

import anyio
import pytest

from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.nodes import WriteStrategy
from sqlbuild.domain.relation_options import Index
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.loading import LoadOrder
from sqlbuild.interfaces.warehouse import BuildOrder, CommitMarker
from sqlbuild.runner.row_batches import batch_of_rows
from sqlbuild.warehouses import postgres_lock_waits
from sqlbuild.warehouses.postgres_loading import PostgresLoading

ORDERS = Relation("", "dev", "orders")
OPEN = Relation("", "dev", "open_orders")


@pytest.fixture
def anyio_backend() -> str:
    """All of it happens on the home loop of asyncpg, which is one of asyncio for both."""
    return "asyncio"


@pytest.fixture
async def warehouse(make_postgres):
    opened = make_postgres(lock_timeout=0.3)
    await opened.open()
    await opened.create_schemas(["dev", "other"])
    yield opened
    await opened.close()


@pytest.fixture
async def connection(warehouse):
    connected = warehouse.connect()
    yield connected
    await connected.close()


@pytest.fixture
def rows(connection):
    async def found(sql: str) -> list[tuple]:
        return await (await connection.query(sql)).fetch()

    return found


@pytest.fixture
def table(warehouse, connection):
    """Build dev.orders."""

    async def build(sql: str, **order) -> None:
        await warehouse.build_table(connection, ORDERS, sql, order=BuildOrder(**order))

    return build


@pytest.fixture
def roles(postgres_server):
    with postgres_server.new_role() as one, postgres_server.new_role() as other:
        yield one, other


@pytest.fixture
def postgres_url(roles, postgres_server):
    """What roles own is gone with the database, so that it has to go before them."""
    with postgres_server.new_database() as name:
        yield postgres_server.dsn(name)


def later(*names: str):
    return lambda relation: relation.name in names


# -- views ------------------------------------------------------------------------------------------------------------


async def test_views_on_a_table_read_the_new_one_with_all_that_they_had(connection, table, rows, roles):
    await table("SELECT 1 AS id, 10 AS amount")
    for statement in (
        "CREATE VIEW other.first WITH (security_barrier) AS SELECT id, amount * 2 AS double FROM dev.orders",
        'CREATE VIEW dev."Second View" (odd) AS SELECT f.double FROM other.first AS f JOIN dev.orders AS o USING (id)',
        "COMMENT ON VIEW other.first IS 'it''s twice'",
        "COMMENT ON COLUMN other.first.double IS 'of amount'",
        f"GRANT SELECT ON other.first TO {roles[0]} WITH GRANT OPTION",
        'GRANT UPDATE (odd) ON dev."Second View" TO PUBLIC',
        f"GRANT ALL ON SCHEMA other, dev TO {roles[1]}; GRANT SELECT ON dev.orders TO {roles[1]}",
        f"ALTER VIEW other.first OWNER TO {roles[1]}",
    ):
        await connection.execute(statement)
    facts = """
        SELECT c.relname::text, pg_get_userbyid(c.relowner)::text, c.reloptions, obj_description(c.oid),
            col_description(c.oid, 2), c.relacl::text, a.attacl::text
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = 1
        WHERE c.relkind = 'v' AND c.relnamespace::regnamespace::text IN ('dev', 'other') ORDER BY 1
    """
    before = await rows(facts)
    assert len(before) == 2
    await table("SELECT 'new' AS added, 1::BIGINT AS id, 20.5 AS amount")
    assert await rows('SELECT odd FROM dev."Second View"') == [(41,)]
    assert await rows(facts) == before


async def test_a_view_that_reads_a_lost_column_is_named_and_all_stays(connection, table, rows):
    await table("SELECT 1 AS id, 10 AS amount")
    await connection.execute("CREATE VIEW dev.totals AS SELECT sum(amount) AS total FROM dev.orders")
    await connection.execute("CREATE VIEW dev.more AS SELECT total + 1 AS more FROM dev.totals")
    with pytest.raises(
        WarehouseError, match=r"dev\.orders cannot be replaced: the view dev\.totals .*column .*amount"
    ) as found:
        await table("SELECT 2 AS id")
    assert "`-s NAME+`" in found.value.help
    assert await rows("SELECT id, more FROM dev.orders, dev.more") == [(1, 11)]


async def test_a_view_that_is_built_later_goes_on_reading_the_old_table(warehouse, connection, table, rows):
    await table("SELECT 1 AS id, 10 AS amount", indexes=[Index(columns=("id",))])
    for statement in (
        "CREATE VIEW dev.totals AS SELECT sum(amount) AS total FROM dev.orders",
        "CREATE VIEW dev.outside AS SELECT t.total, o.id FROM dev.totals AS t CROSS JOIN dev.orders AS o",
        "CREATE VIEW dev.ids AS SELECT id FROM dev.orders",
    ):
        await connection.execute(statement)
    await table("SELECT 2 AS id, 20 AS cents", indexes=[Index(columns=("id",))], is_built_later=later("totals"))
    assert await rows("SELECT cents FROM dev.orders") == [(20,)]
    assert await rows("SELECT total, o.id, i.id FROM dev.outside AS o, dev.ids AS i") == [(10, 1, 2)]

    totals = Relation("", "dev", "totals")
    await warehouse.build_view(
        connection, totals, "SELECT sum(cents) * 2 AS other, sum(cents) AS total FROM dev.orders"
    )
    assert await rows("SELECT total, id FROM dev.outside") == [(20, 2)]
    assert {relation.name for relation in await warehouse.relations()} == {"orders", "totals", "outside", "ids"}


async def test_kept_relations_go_when_nothing_reads_them_any_more(warehouse, connection, table, rows):
    await table("SELECT 1 AS id, 10 AS amount")
    await connection.execute("CREATE VIEW dev.totals AS SELECT amount FROM dev.orders")
    for number in (2, 3):
        await table(f"SELECT {number} AS id", is_built_later=later("totals"))
    await warehouse.build_table(connection, Relation("", "dev", "totals"), "SELECT 1 AS a")
    assert {relation.name for relation in await warehouse.relations()} == {"orders", "totals"}


async def test_a_view_gets_another_query_and_what_depends_on_it_stays(warehouse, connection, rows):
    await warehouse.build_view(connection, OPEN, "SELECT 1 AS id")
    await connection.execute("CREATE MATERIALIZED VIEW dev.counted AS SELECT count(*) FROM dev.open_orders")
    await warehouse.build_view(connection, OPEN, "SELECT 2 AS id, 'x' AS status")
    assert await rows("SELECT id, status, c.count FROM dev.open_orders, dev.counted AS c") == [(2, "x", 1)]
    with pytest.raises(WarehouseError, match=r"there is materialized view dev\.counted, and only views are made again"):
        await warehouse.build_view(connection, OPEN, "SELECT 'x' AS id")
    assert await rows("SELECT id FROM dev.open_orders") == [(2,)]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE MATERIALIZED VIEW dev.m AS SELECT id FROM dev.orders", "materialized view dev.m"),
        ("CREATE FUNCTION dev.f() RETURNS int BEGIN ATOMIC SELECT id FROM dev.orders; END", r"function dev\.f\(\)"),
        (
            "ALTER TABLE dev.orders ADD UNIQUE (id); CREATE TABLE dev.x (id int REFERENCES dev.orders (id))",
            "constraint",
        ),
        ("CREATE POLICY p ON dev.orders USING (id > 0)", "policy p on table dev.orders"),
        ("ALTER TABLE dev.orders ENABLE ROW LEVEL SECURITY", "row level security"),
        ("CREATE RULE r AS ON DELETE TO dev.orders DO INSTEAD NOTHING", "rule r on table dev.orders"),
        ("CREATE TABLE dev.x (o dev.orders)", r"column o of table dev\.x|table dev\.x"),
        ("CREATE TABLE dev.child () INHERITS (dev.orders)", "table dev.child"),
        (
            "CREATE FUNCTION dev.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
            "CREATE TRIGGER audit AFTER INSERT ON dev.orders FOR EACH ROW EXECUTE FUNCTION dev.t()",
            "trigger audit on table dev.orders",
        ),
        (
            "CREATE VIEW dev.v AS SELECT id FROM dev.orders; CREATE MATERIALIZED VIEW dev.m AS SELECT id FROM dev.v",
            r"materialized view dev\.m on the view dev\.v",
        ),
    ],
)
async def test_what_cannot_be_made_again_is_named_and_the_table_stays(
    connection, table, rows, postgres_server, statement, named
):
    if "ATOMIC" in statement and int(postgres_server.version.partition(".")[0]) < 14:
        pytest.skip("functions had no SQL body before PostgreSQL 14")
    await table("SELECT 1 AS id")
    for part in statement.split("; CREATE"):
        await connection.execute(part if part.startswith(("CREATE", "ALTER")) else f"CREATE{part}")
    with pytest.raises(WarehouseError, match=f"dev.orders cannot be replaced: there is .*{named}"):
        await table("SELECT 2 AS id")
    assert await rows("SELECT id FROM dev.orders") == [(1,)]


async def test_own_indexes_constraints_and_defaults_do_not_stand_in_the_way(connection, table, rows):
    await table("SELECT 1 AS id, NULL::int AS parent")
    for statement in (
        "ALTER TABLE dev.orders ADD PRIMARY KEY (id), ADD CHECK (id > 0), ALTER parent SET DEFAULT 5",
        "ALTER TABLE dev.orders ADD FOREIGN KEY (parent) REFERENCES dev.orders (id)",
        "ALTER TABLE dev.orders ADD twice int GENERATED ALWAYS AS (id * 2) STORED",
        "CREATE INDEX ON dev.orders ((id + parent)) WHERE id > 5",
    ):
        await connection.execute(statement)
    await table("SELECT 2 AS id")
    assert await rows("SELECT * FROM dev.orders") == [(2,)]


# -- grants, owner, comments --------------------------------------------------------------------------------------------


async def test_what_was_given_by_hand_stays_and_what_the_header_grants_follows_it(connection, table, rows, roles):
    by_hand, declared = roles
    who = "SELECT grantee, lower(privilege_type) FROM information_schema.role_table_grants WHERE table_name = 'orders' AND grantee LIKE 'role%' ORDER BY 1, 2"
    await table("SELECT 1 AS id", grants={"select": (declared,), "insert": (declared,)})
    await connection.execute(f"GRANT UPDATE ON dev.orders TO {by_hand}")
    await connection.execute("COMMENT ON TABLE dev.orders IS 'kept'; COMMENT ON COLUMN dev.orders.id IS 'the key'")
    await connection.execute("ALTER TABLE dev.orders SET (fillfactor = 70)")
    assert await rows(who) == sorted([(by_hand, "update"), (declared, "insert"), (declared, "select")])
    await table("SELECT 2 AS id, 3 AS more", grants={"select": (declared,)})
    assert await rows(who) == sorted([(by_hand, "update"), (declared, "select")])
    await table("SELECT 2 AS id, 3 AS more")
    assert await rows(who) == [(by_hand, "update")]
    facts = "SELECT obj_description(oid), col_description(oid, 1), reloptions FROM pg_class WHERE relname = 'orders'"
    assert await rows(facts) == [("kept", "the key", ["fillfactor=70"])]


async def test_grants_of_a_view_follow_its_header_too(warehouse, connection, rows, roles):
    who = "SELECT grantee FROM information_schema.role_table_grants WHERE table_name = 'open_orders' AND grantee LIKE 'role%'"
    for role in roles:
        await warehouse.build_view(connection, OPEN, "SELECT 1 AS id", order=BuildOrder(grants={"select": (role,)}))
        assert await rows(who) == [(role,)]


async def test_default_privileges_are_not_taken_from_a_new_table(connection, table, rows, roles):
    await connection.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA dev GRANT SELECT ON TABLES TO {roles[0]}")
    await table("SELECT 1 AS id")
    await connection.execute(f"REVOKE ALL ON dev.orders FROM {roles[0]}; GRANT DELETE ON dev.orders TO {roles[1]}")
    await table("SELECT 2 AS id")
    acl = await rows("SELECT relacl::text FROM pg_class WHERE relname = 'orders'")
    assert roles[0] not in acl[0][0]
    assert f"{roles[1]}=d" in acl[0][0]
    await connection.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA dev REVOKE SELECT ON TABLES FROM " + roles[0])


async def test_a_role_that_does_not_exist_is_named_and_the_table_stays(table, rows):
    await table("SELECT 1 AS id")
    with pytest.raises(WarehouseError, match='`grants` of the model: role "nobody_here" does not exist'):
        await table("SELECT 2 AS id", grants={"select": ("nobody_here",)})
    assert await rows("SELECT id FROM dev.orders") == [(1,)]


async def test_the_owner_stays_and_a_view_of_a_role_that_one_is_not_in_is_named(
    make_postgres, postgres_server, connection, table, rows, roles, postgres_url
):
    builder, owner = roles
    for statement in (f"GRANT {owner} TO {builder}", f"GRANT ALL ON SCHEMA dev TO {builder}, {owner}"):
        await connection.execute(statement)
    await table("SELECT 1 AS id")
    await connection.execute(f"ALTER TABLE dev.orders OWNER TO {owner}")
    mine = make_postgres(user=builder)
    await mine.open()
    session = mine.connect()
    try:
        await mine.build_table(session, ORDERS, "SELECT 2 AS id")
        owners = "SELECT tableowner::text, o.id FROM pg_tables, dev.orders AS o WHERE tablename = 'orders'"
        assert await rows(owners) == [(owner, 2)]
        await connection.execute("CREATE VIEW dev.theirs AS SELECT id FROM dev.orders")
        with pytest.raises(WarehouseError, match=r"the view dev\.theirs, which reads it, is of the role postgres"):
            await mine.build_table(session, ORDERS, "SELECT 3 AS id")
    finally:
        await session.close()
        await mine.close()


# -- indexes ------------------------------------------------------------------------------------------------------------


async def test_indexes_are_made_anew_with_each_table_under_the_same_names(table, rows):
    indexes = [
        Index(columns=("id",), unique=True),
        Index(columns=("at DESC NULLS LAST", "lower(status)"), where="status <> 'x, y'", include=("id",)),
        Index(columns=("at",), using="brin", name="by time"),
        Index(columns=("status text_pattern_ops",)),
    ]
    found = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'dev' ORDER BY 1"
    await table("SELECT 1 AS id, now() AS at, 'a' AS status", indexes=indexes)
    first = await rows(found)
    assert first == [
        ("CREATE INDEX \"by time\" ON dev.orders USING brin (at)",),
        ("CREATE INDEX orders_at_desc_nulls_last_lower_status_idx ON dev.orders USING btree (at DESC NULLS LAST, "
         "lower(status)) INCLUDE (id) WHERE (status <> 'x, y'::text)",),
        ("CREATE INDEX orders_status_text_pattern_ops_idx ON dev.orders USING btree (status text_pattern_ops)",),
        ("CREATE UNIQUE INDEX orders_id_key ON dev.orders USING btree (id)",),
    ]  # fmt: skip
    await table("SELECT 2 AS id, now() AS at, 'a' AS status", indexes=indexes)
    assert await rows(found) == first
    assert await rows("SELECT relname::text FROM pg_class WHERE relname LIKE '%sqlbuild%'") == []


async def test_what_a_unique_index_does_not_allow_leaves_the_old_table(table, rows):
    unique = [Index(columns=("id",), unique=True)]
    await table("SELECT 1 AS id", indexes=unique)
    with pytest.raises(WarehouseError, match=r"index 1 of the model \(id\): could not create unique index"):
        await table("SELECT 2 AS id FROM generate_series(1, 2)", indexes=unique)
    assert await rows("SELECT id FROM dev.orders") == [(1,)]


async def test_the_planner_knows_a_new_table_at_once(table, rows):
    await table("SELECT n AS id FROM generate_series(1, 500) AS t(n)")
    assert await rows("SELECT reltuples FROM pg_class WHERE relname = 'orders'") == [(500.0,)]


# -- locks --------------------------------------------------------------------------------------------------------------


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


# -- declared types ---------------------------------------------------------------------------------------------------


async def test_columns_of_a_table_get_their_declared_types(table, rows):
    await table(
        "SELECT '7' AS \"Id\", DATE '2026-01-02' AS day, 1.25 AS total -- last",
        types={"Id": "int", "total": "numeric(5, 1)"},
    )
    assert await rows('SELECT "Id", pg_typeof("Id")::text, day::text, total::text FROM dev.orders') == [
        (7, "integer", "2026-01-02", "1.3")
    ]


@pytest.mark.parametrize("types", [{}, {"a": "bigint"}])
async def test_of_a_query_that_fails_the_message_shows_nothing_else(table, types):
    with pytest.raises(WarehouseError, match=r"LINE 2:   2 / zero AS b\n {14}\^\Z"):
        await table("SELECT 1 AS a,\n  2 / zero AS b", types=types)


async def test_a_declared_column_that_the_query_does_not_give_is_named(table):
    with pytest.raises(WarehouseError, match="declares the column Id, which the query does not give") as caught:
        await table("SELECT 1 AS id", types={"Id": "int"})
    assert "the query gives id" in caught.value.help


# -- loads ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def load(warehouse, connection):
    """Load rows into dev.orders."""
    commits = Relation("", "dev", "_sqlbuild_commits")
    marker = CommitMarker(relation=commits, run_id="r1", node=NodeId("loader:orders"), part="load", attempt=1)

    async def apply(*given: dict, strategy: str = "table", **order):
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS dev._sqlbuild_commits "
            "(run_id text, node_id text, part text, attempt int, committed_at timestamptz)"
        )
        order = {"relation": ORDERS, "staging": "_staging", "strategy": WriteStrategy(strategy), **order}
        begun = PostgresLoading(0.3).begin(LoadOrder(**order))
        await begun.add(connection, batch_of_rows(list(given), 1))
        return await begun.apply(connection, marker)

    return apply


async def test_views_read_the_new_rows_of_a_table_that_is_loaded_again(load, warehouse, connection, rows):
    await load({"id": 1, "status": "open"})
    await warehouse.build_view(connection, OPEN, "SELECT id FROM dev.orders WHERE status = 'open'")
    await load({"id": 2, "status": "open"}, {"id": 3, "status": "sent"})
    assert await rows("SELECT id FROM dev.open_orders") == [(2,)]


async def test_a_view_that_is_built_later_does_not_stop_a_load_of_other_columns(load, warehouse, connection, rows):
    await load({"id": 1, "status": "open"})
    await warehouse.build_view(connection, OPEN, "SELECT id FROM dev.orders WHERE status = 'open'")
    with pytest.raises(WarehouseError, match="open_orders"):
        await load({"id": 2, "state": "open"})
    await load({"id": 2, "state": "open"}, how=BuildOrder(is_built_later=later("open_orders")))
    await warehouse.build_view(connection, OPEN, "SELECT id FROM dev.orders WHERE state = 'open'")
    assert await rows("SELECT id FROM dev.open_orders") == [(2,)]


async def test_a_column_that_views_read_becomes_wider(load, warehouse, connection, rows):
    await load({"id": 1}, columns=(Column(name="id", type="int"),))
    await warehouse.build_view(connection, OPEN, "SELECT id FROM dev.orders")
    loaded = await load({"id": 2**40}, strategy="append")
    assert loaded.widened_columns == ("id: integer to bigint",)
    assert await rows("SELECT id FROM dev.open_orders ORDER BY id") == [(1,), (2**40,)]


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
