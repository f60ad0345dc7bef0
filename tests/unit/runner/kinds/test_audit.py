from __future__ import annotations

import json
from typing import Any

import pytest

from sqlbuild.domain.graph import Fingerprint, Graph, Node
from sqlbuild.domain.ids import NodeId, NodeKind, Place, Relation, name_of
from sqlbuild.domain.nodes import Audit, Model, RunScope, Severity
from sqlbuild.domain.settings import Connection
from sqlbuild.errors import AuditFailed, WarehouseError
from sqlbuild.refs import Reference
from sqlbuild.runner.kinds.audit import AuditRunner, refused
from sqlbuild.warehouses.duckdb import DuckDBWarehouse

NOTHING = Fingerprint(code="c", settings="s", upstream="u", total="t")
ORDERS = Node(
    id=NodeId("model:orders"),
    kind=NodeKind.MODEL,
    name="orders",
    place=Place("models/orders.sql", 1),
    declaration=Model(name="orders", place=Place("models/orders.sql", 1), sql="SELECT 1", sql_line=1),
    fingerprint=NOTHING,
)


def audit(sql: str, name: str = "orders.known", around: tuple[str, ...] = (), **fields: Any) -> Node:
    place = Place("models/orders.sql", 3, 7)
    declaration = Audit(
        name=name,
        place=place,
        definition="known",
        sql=sql,
        sql_place=Place("audits/generic/known.sql", 4, 1),
        target=Reference("model", "orders"),
        **fields,
    )
    return Node(
        id=NodeId(f"audit:{name}"),
        kind=NodeKind.AUDIT,
        name=name,
        place=place,
        declaration=declaration,
        sql=sql,
        around_target=around,
        fingerprint=NOTHING,
    )


@pytest.fixture
async def warehouse():
    opened = DuckDBWarehouse(Connection(name="local", adapter="duckdb", options={"database": ":memory:"}), "/")
    await opened.open()
    connection = opened.connect()
    await connection.execute("CREATE TABLE orders AS SELECT range AS id, 'x' || range AS name FROM range(10)")
    await connection.execute("CREATE TABLE staged AS SELECT 77 AS id")
    await connection.close()
    yield opened
    await opened.close()


@pytest.fixture
def make_runner(warehouse):
    def make(*nodes: Node, max_bytes: int = 1_000_000, **options: Any) -> AuditRunner:
        audits = {ORDERS.id: tuple(node.id for node in nodes)}
        graph = Graph(nodes={node.id: node for node in (ORDERS, *nodes)}, downstream={}, audits=audits)
        return AuditRunner(graph, graph.nodes, warehouse, max_bytes, **options)

    return make


async def test_an_audit_that_finds_nothing_passes(make_runner):
    found = await make_runner().run(audit("SELECT * FROM orders WHERE id < 0 -- none"))
    assert (found.status, found.error) == ("succeeded", None)
    assert json.loads(found.payload) == {"verdict": "pass", "message": None, "violations": 0}


async def test_violations_are_counted_and_some_are_shown(make_runner):
    found = await make_runner().run(audit("SELECT * FROM orders WHERE id > 4 ORDER BY id"))
    assert found.status == "failed"
    assert found.error.message.splitlines() == [
        "5 rows violate it, for example:",
        "  id=5 name='x5'",
        "  id=6 name='x6'",
        "  id=7 name='x7'",
    ]
    assert (found.error.type, found.error.path, found.error.line) == ("AuditFailed", "models/orders.sql", 3)
    said = json.loads(found.payload)
    assert (said["verdict"], said["violations"], said["message"]) == ("fail", 5, "5 rows violate it, for example")
    assert said["sample"] == [{"id": number, "name": f"x{number}"} for number in (5, 6, 7)]


async def test_an_audit_that_only_warns_says_the_same(make_runner):
    found = await make_runner().run(audit("SELECT id FROM orders WHERE id = 4", severity=Severity.WARN))
    assert (found.status, found.error.message) == ("warned", "1 row violates it:\n  id=4")
    assert json.loads(found.payload)["verdict"] == "warn"


async def test_rows_of_any_types_and_sizes_are_shown_and_kept_within_bounds(make_runner):
    values = (
        "NULL, true, 1.50, 'nan'::DOUBLE, DATE '2026-01-02', [1, 2], repeat('x', 5000), '\\xAA'::BLOB, 'a' || chr(0)"
    )
    many = ", ".join(f"{number} AS c{number}" for number in range(20))
    node = audit(f"SELECT {values}, {many}")
    found = await make_runner().run(node)
    assert found.error.message.endswith("(17 more columns)")
    assert max(map(len, found.error.message.splitlines())) < 400
    (row,) = json.loads(found.payload)["sample"]
    assert [*row.values()][:6] == [None, True, "1.50", "nan", "2026-01-02", "[1, 2]"]
    small = await make_runner(max_bytes=200).run(node)
    assert json.loads(small.payload) == {"verdict": "fail", "message": "1 row violates it", "violations": 1}


async def test_an_audit_that_cannot_be_asked_raises_at_the_line_of_its_file_whatever_its_severity(make_runner):
    node = audit("SELECT *\nFROM missing", severity=Severity.WARN)
    with pytest.raises(WarehouseError, match=r"audits/generic/known\.sql:5: FROM missing"):
        await make_runner().run(node)


async def test_a_gate_looks_at_what_is_staged(make_runner):
    node = audit("SELECT id FROM orders WHERE id > 50", around=("SELECT id FROM ", " WHERE id > 50"))
    assert (await make_runner().run(node)).status == "succeeded"
    staged = make_runner(staged_relation=lambda node: Relation("", "main", "staged") if node == ORDERS.id else None)
    assert (await staged.run(node)).error.message == "1 row violates it:\n  id=77"


async def test_a_model_that_stages_several_things_lets_its_audits_look_at_each(make_runner, warehouse):
    gate = audit("SELECT 1", "orders.small", ("SELECT id FROM ", " WHERE id > 50"))
    final = audit("SELECT 1", "orders.final", ("SELECT id FROM ", ""), run_scope=RunScope.FINAL)
    warns = audit("SELECT 1", "orders.warns", ("SELECT id FROM ", ""), severity=Severity.WARN)
    runner, staged = make_runner(gate, final, warns), Relation("", "main", "staged")
    connection = warehouse.connect()
    with pytest.raises(AuditFailed) as raised:
        await runner.look(ORDERS, connection, staged, False)
    first, *told = raised.value.args[0].splitlines()
    assert first == "2 of 2 audits did not pass: small, final; what was there before stays"
    assert told == ["small: 1 row violates it:", "  id=77", "final: 1 row violates it:", "  id=77"]
    with pytest.raises(AuditFailed, match=r"its audit did not pass: small"):
        await runner.look(ORDERS, connection, staged, True)
    await make_runner(warns).look(ORDERS, connection, staged, False)
    await connection.close()


def test_a_model_that_is_refused_names_some_of_its_audits():
    error = refused(ORDERS, tuple(NodeId(f"audit:orders.a{number}") for number in range(8)), 9)
    assert error.args[0] == "8 of 9 audits did not pass: a0, a1, a2, a3, a4 and 3 more; what was there before stays"
    assert name_of(NodeId("audit:orders.a0")) == "orders.a0"
