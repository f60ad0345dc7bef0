from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sqlbuild.sql.analyse_query import analyse_query
from sqlbuild.sql.query_analysis import InputReference, QueryAnalysis, QueryInput

CASES = {
    "SELECT id, amount * 2 AS dbl FROM raw.orders": {"id": ["0.id"], "dbl": ["0.amount"]},
    "SELECT * FROM raw.orders": {
        name: [f"0.{name}"] for name in ("id", "customer_id", "amount", "status", "created_at", "items")
    },
    "WITH o AS (SELECT id AS key, amount FROM raw.orders), p AS (SELECT key, sum(amount) AS s FROM o GROUP BY 1) "
    "SELECT p.s + o.amount AS both FROM p JOIN o USING (key)": {"both": ["0.amount"]},
    "SELECT count(*) AS n, 1 AS one FROM raw.orders": {"n": [], "one": []},
    "SELECT x FROM stg.a UNION ALL SELECT z FROM stg.b": {"x": ["0.x", "1.z"]},
    "SELECT x, y FROM stg.a UNION ALL BY NAME SELECT x, z FROM stg.b": {
        "x": ["0.x", "1.x"],
        "y": ["0.y"],
        "z": ["1.z"],
    },
    "SELECT x FROM stg.a EXCEPT SELECT z FROM stg.b": {"x": ["0.x"]},
    "SELECT x, y, z FROM stg.a FULL JOIN stg.b USING (x)": {"x": ["0.x", "1.x"], "y": ["0.y"], "z": ["1.z"]},
    "SELECT x FROM stg.a RIGHT JOIN stg.b USING (x)": {"x": ["1.x"]},
    "SELECT x FROM stg.a JOIN stg.b USING (x)": {"x": ["0.x"]},
    "SELECT row_number() OVER (PARTITION BY x ORDER BY y) AS n, sum(x) OVER (ORDER BY y) AS s FROM stg.a": {
        "n": [],
        "s": ["0.x"],
    },
    "SELECT CASE WHEN status = 'paid' THEN amount END AS paid FROM raw.orders": {"paid": ["0.amount", "0.status"]},
    "SELECT string_agg(name, ',' ORDER BY id) AS names FROM raw.customers": {"names": ["0.name"]},
    "SELECT (SELECT max(z) FROM stg.b WHERE stg.b.x = a.x) AS m FROM stg.a a": {"m": ["1.z"]},
    "SELECT EXISTS (SELECT z FROM stg.b) AS e FROM stg.a": {"e": []},
    "SELECT amount * 2 AS a2, a2 + 1 AS a3 FROM raw.orders": {"a2": ["0.amount"], "a3": ["0.amount"]},
    "SELECT list_transform(items, lambda i: i + id) AS l FROM raw.orders": {"l": ["0.id", "0.items"]},
    "SELECT [i * 2 FOR i IN items] AS l FROM raw.orders": {"l": ["0.items"]},
    "SELECT s.p AS p, s.q.r AS r FROM stg.wide": {"p": ["0.s"], "r": ["0.s"]},
    "SELECT l.list_sort() AS l FROM stg.wide": {"l": ["0.l"]},
    "SELECT * REPLACE (x + y AS x) FROM stg.a": {"x": ["0.x", "0.y"], "y": ["0.y"]},
    "SELECT a FROM stg.a a": {"a": ["0.x", "0.y"]},
    "SELECT t.v FROM stg.a, (VALUES (1)) t(v)": {"v": []},
    "SELECT u.v FROM stg.wide w, unnest(w.l) AS u(v)": {"v": ["0.l"]},
    "WITH RECURSIVE t AS (SELECT id, customer_id FROM raw.orders UNION ALL "
    "SELECT c.id, t.id FROM raw.customers c JOIN t ON true) SELECT * FROM t": {
        "id": ["0.id", "1.id"],
        "customer_id": ["0.customer_id", "0.id", "1.id"],
    },
    "SELECT b.x FROM stg.a, LATERAL (SELECT stg.a.x AS x) b": {"x": ["0.x"]},
}


FIXTURE = Path(__file__).parents[2] / "fixtures/lineage.sql"


@pytest.mark.parametrize("line", [line for line in FIXTURE.read_text().splitlines() if not line.startswith("--")])
def test_a_column_is_made_of_others_in_this_way(
    line: str, analyse: Callable[..., QueryAnalysis], tables: tuple[str, ...]
) -> None:
    sql, _, expected = line.partition(" -- ")
    found = analyse(sql)
    assert found.columns is not None, found.notes
    inputs = [name for name in tables if re.search(rf"\b{re.escape(name)}\b", sql)]
    said = []
    for column in found.columns:
        made_of = ", ".join(sorted(f"{inputs[index]}.{name}" for index, name in column.sources))
        said.append(f"{column.name}: {column.transform} {made_of}".rstrip())
    assert "; ".join(said) == expected


def lineage(found: QueryAnalysis) -> dict[str, list[str]]:
    return {column.name: sorted(f"{index}.{name}" for index, name in column.sources) for column in found.columns or ()}


@pytest.mark.parametrize("sql", CASES)
def test_lineage_goes_through_the_query(sql: str, analyse: Callable[..., QueryAnalysis]) -> None:
    assert lineage(analyse(sql)) == CASES[sql]


def test_lineage_goes_through_a_star_over_unknown_columns(analyse: Callable[..., QueryAnalysis]) -> None:
    sql = "WITH raw AS (SELECT * FROM raw.orders) SELECT id AS order_id, r.amount FROM raw AS r"
    found = analyse(sql, unknown=frozenset({"raw.orders"}))
    assert lineage(found) == {"order_id": ["0.id"], "amount": ["0.amount"]}


def test_a_column_of_two_unknown_relations_has_no_lineage(analyse: Callable[..., QueryAnalysis]) -> None:
    found = analyse("SELECT y, z FROM stg.a, stg.b", unknown=frozenset({"stg.a", "stg.b"}))
    assert lineage(found) == {"y": [], "z": []}


def test_a_known_relation_settles_which_unknown_one_is_meant(analyse: Callable[..., QueryAnalysis]) -> None:
    found = analyse("SELECT y, z FROM stg.a, stg.b", unknown=frozenset({"stg.b"}))
    assert lineage(found) == {"y": ["0.y"], "z": ["1.z"]}


def test_an_ambiguous_name_is_a_note(analyse: Callable[..., QueryAnalysis]) -> None:
    found = analyse("SELECT x AS k FROM stg.a, stg.b")
    assert found.findings == ()
    assert found.notes == ("x is ambiguous: it can be of stg.a or stg.b",)
    assert lineage(found) == {"k": ["0.x", "1.x"]}


@pytest.mark.parametrize(
    ("sql", "message", "help"),
    [
        ("SELECT amuont FROM raw.orders", "unknown column amuont in raw.orders", "did you mean amount?"),
        ("SELECT o.amuont FROM raw.orders o", "unknown column amuont in o (raw.orders)", "did you mean amount?"),
        ("SELECT zzzzz FROM stg.a", "unknown column zzzzz in stg.a", "columns here: x, y"),
        ("SELECT q.x FROM stg.a", "q is no relation and no column here", "relations here: stg.a, x, y"),
        ("SELECT nope FROM stg.a, stg.b", "unknown column nope", "columns here: x, y, z"),
        ("SELECT nope", "unknown column nope", ""),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest_one(
    sql: str, message: str, help: str, analyse: Callable[..., QueryAnalysis]
) -> None:
    (finding,) = analyse(sql).findings
    assert (finding.code, finding.message, finding.help) == ("UNKNOWN_COLUMN", message, help)


def test_every_unknown_name_is_told(analyse: Callable[..., QueryAnalysis]) -> None:
    found = analyse("SELECT p,\n  q\nFROM stg.a\nWHERE r = 1 AND r = 2")
    assert [(each.line, each.column) for each in found.findings] == [(1, 8), (2, 3), (4, 7), (4, 17)]


def test_a_name_that_postgresql_takes_in_lower_case_is_proposed_in_quotes() -> None:
    raw = QueryInput(label="raw", alias="raw", columns=(("Id", None),), complete=True)
    found = analyse_query("SELECT Id FROM raw", [InputReference(15, 18, 0)], [raw], "postgres")
    help = 'did you mean "Id", in double quotes? Without them a name is taken in lower case'
    assert [(each.message, each.help) for each in found.findings] == [("unknown column id in raw", help)]
