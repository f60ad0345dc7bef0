"""Grants, owners and comments of a relation of PostgreSQL when another one takes its place."""

from __future__ import annotations

import pytest

from sqlbuild.domain.ids import Relation
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import BuildOrder

ORDERS = Relation("", "dev", "orders")
OPEN = Relation("", "dev", "open_orders")


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
