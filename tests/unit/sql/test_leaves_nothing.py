from __future__ import annotations

import pytest

from sqlbuild.sql.leaves_nothing import LONGEST, leaves_nothing

LEAVING_NOTHING = [
    "SELECT 1",
    "  select 1 ; ",
    "(SELECT 1) UNION ALL (SELECT 2)",
    "TABLE dev.orders",
    "VALUES (1, 'a'), (2, 'b')",
    'SELECT * FROM "dev"."orders" AS o WHERE o.id = $1 AND o.status IN ($2, $3)',
    "SELECT count(*), COALESCE(sum(amount), 0) FROM dev.orders WHERE created_at >= date_trunc('day', now())",
    "SELECT region, count(*) FILTER (WHERE paid), sum(x) OVER (PARTITION BY (region) ORDER BY day) FROM t GROUP BY (region)",
    "WITH recent AS (SELECT * FROM t ORDER BY (day) LIMIT 10), old AS MATERIALIZED (SELECT 1) SELECT * FROM recent, old",
    "SELECT n FROM generate_series(1, 10) AS t(n)",
    "SELECT x::numeric(10, 2), CAST(x AS varchar(3)), CAST(x AS money_of(3)) FROM t WHERE EXISTS (SELECT 1)",
    "SELECT lower(name)||upper (name) FROM a JOIN b USING (id) WHERE NOT (a.x = ANY(ARRAY[1])) AND y BETWEEN (1) AND (2)",
    "SELECT updated_at, deleted, into_stock FROM t -- set_config('a', 'b', false)",
    "SELECT /* set_config('a', 'b', false) */ 1",
    "SELECT 'set_config(''a'', ''b'', false); INSERT INTO t'",
    'SELECT "insert", "set_config" FROM t',
    "SELECT 'Zürich' AS \"größe\"",
    "SELECT 1.5, t.* FROM t",
]

LEAVING_PERHAPS_SOMETHING = [
    "",
    ";",
    "-- SELECT 1",
    "SET search_path = dev",
    "RESET ALL",
    "BEGIN",
    "LISTEN news",
    "PREPARE p AS SELECT 1",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "CREATE TEMP TABLE t AS SELECT 1",
    "INSERT INTO t VALUES (1)",
    "EXPLAIN ANALYZE SELECT 1",
    "SELECT 1; SET search_path = dev",
    "SELECT 1 INTO TEMP t",
    "SELECT 'a'INTO TEMP t",
    'SELECT 1 AS "a"into TEMP t',
    "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
    "SELECT * FROM t FOR UPDATE",
    # -- functions
    "SELECT set_config('a.b', 'c', false)",
    "SELECT SET_CONFIG ('a.b', 'c', false)",
    "SELECT pg_advisory_lock(1)",
    "SELECT f(1)",
    "SELECT * FROM f(1)",
    "SELECT coalesce(f(1), 2)",
    "SELECT evil.count(1)",
    "SELECT evil . count(1)",
    "SELECT evil./**/count(1)",
    "SELECT evil.\ncount(1)",
    'SELECT "count"(1)',
    'SELECT "evil"."count"(1)',
    "SELECT set_config/* */('a', 'b', false)",
    "SELECT set_config -- (\n ('a', 'b', false)",
    "SELECT -- \r set_config('a', 'b', false)",
    "SELECT by(1), over(1), filter(1)",
    "SELECT has_f$count(1), $1count(2), 1f (3)",
    "SELECT sün(1)",
    "SELECT count\u00a0(1)",
    "SELECT to_he\u212a(1)",
    # -- strings that are not what they seem, or do not end
    r"SELECT '\', set_config(''a'', ''b'', false) --'",
    r"SELECT E'\', set_config('a', 'b', false) --'",
    "SELECT $$ ' $$, set_config('a', 'b', false), $$ ' $$",
    "SELECT $a$ ' $a$, set_config('a', 'b', false), $a$ ' $a$",
    "SELECT 'a",
    'SELECT "a',
    "SELECT 1 /* a",
    "SELECT 1 /* /* */ ' */, set_config('a', 'b', false) -- '",
    # -- it would cost more to look than to reset
    f"SELECT '{'a' * LONGEST}'",
]


@pytest.mark.parametrize("sql", LEAVING_NOTHING)
def test_a_query_of_known_functions_leaves_nothing(sql):
    assert leaves_nothing(sql)


@pytest.mark.parametrize("sql", LEAVING_PERHAPS_SOMETHING, ids=lambda sql: repr(sql[:60]))
def test_whatever_else_may_leave_something(sql):
    assert not leaves_nothing(sql)
