"""Views on a relation of PostgreSQL when another one takes its place."""

from __future__ import annotations

import pytest

from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.relation_options import Index
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import BuildOrder

OPEN = Relation("", "dev", "open_orders")


def later(*names: str):
    return lambda relation: relation.name in names


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
