"""Unit tests of SQL in real projects: alone before anything was built, before their models in a build, and failing."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

SHOP = {
    "sources/raw.yml": """
        sources:
          - name: raw_orders
            columns:
              - {name: id, type: INTEGER}
              - {name: state, type: VARCHAR}
              - {name: cents, type: INTEGER}
              - {name: ordered_at, type: TIMESTAMP}
        """,
    "macros/money.py": """
        def euros(column):
            return f"CAST({column} AS DECIMAL(12, 2)) / 100"

        def order_rows(count):
            return " UNION ALL ".join(f"SELECT {n} AS id, 'open' AS state, {n}00 AS cents" for n in range(1, count + 1))
        """,
    "models/orders.sql": """
        WITH orders AS (SELECT id AS order_id, upper(state) AS state, cents, ordered_at FROM __source("raw_orders"))
        SELECT * FROM orders
        """,
    "models/revenue.sql": """
        MODEL (materialized table);
        WITH orders AS (SELECT state, cents FROM __ref("orders") WHERE state <> 'CANCELLED')
        SELECT state, count(*) AS orders, @py.euros("sum(cents)") AS euros FROM orders GROUP BY state
        """,
    "models/alone.sql": "MODEL (materialized table);\nSELECT 1 AS one\n",
    "tests/unit/orders.sql": """
        TEST (name "states are upper case", tags [fast]);
        WITH
        __source__raw_orders AS (SELECT 1 AS id, 'open' AS state, NULL AS cents),
        __expected__orders AS (SELECT 'OPEN' AS state, 1 AS order_id),
        __assert__no_null AS (SELECT * FROM __ref("orders") WHERE state IS NULL)

        TEST (
          name "revenue_by_state",
          parameters (state string, orders integer),
          cases (
            open_case (state "open", orders 2),
            cancelled_case (state "cancelled", orders 0),
          ),
        );
        WITH
        twice(id) AS (VALUES (1), (2)),
        __source__raw_orders AS (SELECT id, @param("state") AS state, 150 AS cents, '2026-01-02 10:00:00' AS ordered_at
          FROM twice),
        counted AS (SELECT coalesce(sum(orders), 0) AS orders FROM __ref("revenue")),
        __assert__count AS (SELECT * FROM counted WHERE orders <> @param("orders"))
        """,
    "tests/unit/money/macros.sql": """
        TEST();
        WITH input AS (SELECT 250 AS c),
        __macro_actual__ AS (SELECT @py.euros("c") AS euros FROM input),
        __macro_expected__ AS (SELECT 2.5 AS euros)
        SELECT 1
        """,
    "tests/unit/chain.sql": """
        TEST();
        WITH
        __source__raw_orders AS (@py.order_rows(3)),
        __expected__revenue AS (SELECT 'OPEN' AS state, 3 AS orders, 6 AS euros)
        """,
}
NAMES = {
    "test:states are upper case",
    "test:revenue_by_state[open_case]",
    "test:revenue_by_state[cancelled_case]",
    "test:macros",
    "test:chain",
}


@pytest.fixture(params=["duckdb", "postgres"])
def shop(request, project, monkeypatch):
    project.write(SHOP)
    if request.param == "postgres":
        monkeypatch.setenv("SHOP_DSN", request.getfixturevalue("postgres_url"))
        project.write(
            {
                "sqlbuild_project.toml": """
                    name = "shop"
                    adapter = "postgres"
                    [connections.server]
                    dsn = "${ENV:SHOP_DSN}"
                    [targets.dev]
                    schema = "dev"
                    """
            }
        )
    return project


def test_tests_run_alone_before_anything_was_built(shop):
    tested = shop.sqb("test", "--junit", "reports/junit.xml")
    assert tested.code == 0, tested.everything
    assert {id: status for id, status in shop.statuses().items() if status == "succeeded"}.keys() == NAMES
    assert "2 real models" in tested.out
    assert not (shop.root / "shop.duckdb").exists()
    assert len(list((shop.root / "target/tests").iterdir())) == 1
    suite = ElementTree.parse(shop.root / "reports/junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("5", "0")
    shown = [line.split(maxsplit=1) for line in shop.sqb("show", "test:chain").out.split("\n")]
    assert ["runs", "orders, revenue"] in shown
    assert ["mocks", "source raw_orders"] in shown
    assert "sqb test" in shop.sqb("history").out
    inspected = shop.sqb("test", "chain", "--inspect", "--json").json["tests"][0]
    assert inspected["real_models"][0] == {"name": "orders", "path": ["revenue", "orders"]}
    assert inspected["completed"] == {"__source__raw_orders": ["ordered_at"]}


def test_a_failing_test_blocks_its_model_and_shows_which_cells_differ(shop):
    shop.write(
        {
            "models/orders.sql": """
                SELECT 1 AS order_id, 'OPEN' AS state, 5 AS cents UNION ALL SELECT 2, 'DONE', 6
                """,
            "tests/unit/chain.sql": """
                TEST (name "chain");
                WITH
                __ref__orders AS (SELECT 'OPEN' AS state, 100 AS cents UNION ALL SELECT 'DONE', 200),
                __expected__revenue AS (
                  SELECT 'OPEN' AS state, 1 AS orders, 1 AS euros UNION ALL SELECT 'DONE', 1, 3
                )
                """,
            "tests/unit/orders.sql": """
                TEST();
                WITH __expected__orders AS (SELECT 1 AS order_id UNION ALL SELECT 2)
                """,
        }
    )
    (shop.root / "tests/unit/orders.sql").rename(shop.root / "tests/unit/two_orders.sql")
    built = shop.sqb("build")
    assert built.code == 1, built.everything
    assert shop.statuses() == {
        "test:two_orders": "succeeded",
        "model:orders": "succeeded",
        "test:macros": "succeeded",
        "test:chain": "failed",
        "model:revenue": "blocked",
        "model:alone": "succeeded",
    }
    assert "tests/unit/chain.sql:5: NotAsExpected: revenue: 1 row differs (expected 2 rows, got 2)" in built.out
    lines = [line.strip() for line in built.out.split("\n")]
    at = lines.index("- expected  + got")
    assert lines[at + 1].split() == ["state", "orders", "euros"]
    assert lines[at + 2].split()[:3] == ["-", "'DONE'", "1"]
    assert lines[at + 3].split()[:3] == ["+", "'DONE'", "1"]
    assert set(lines[at + 4]) == {"^"}
    assert "blocked 1: revenue" in built.out
    (check,) = shop.result("chain")["payload"]["checks"]
    assert check["changed_samples"][0]["columns"] == ["euros"]
    assert check["changed_samples"][0]["expected"]["state"] == "DONE"
    assert shop.result("revenue")["because_of"] == ["test:chain"]
    assert "- expected  + got" in shop.sqb("show", "test:chain").out

    shop.build("--no-tests")
    assert shop.statuses() == dict.fromkeys(("model:orders", "model:revenue", "model:alone"), "succeeded")
    again = shop.sqb("test", "revenue")
    assert (again.code, shop.statuses()) == (1, {"test:chain": "failed", "test:macros": "succeeded"})
    assert "next: sqb test result:failed" in again.out
    assert shop.sqb("test", "result:failed").code == 1
    assert shop.statuses() == {"test:chain": "failed"}
    # A run of tests is nothing that a build goes on with: the one before is, and that was overtaken.
    resumed = shop.sqb("build", "--resume")
    assert (resumed.code, "came after run" in resumed.err) == (2, True), resumed.everything


def test_functions_are_tested_as_they_are_in_the_project_before_they_are_made(shop):
    shop.write(
        {
            "functions/sql/net.sql": """
                FUNCTION (arguments (gross DECIMAL(12, 2), rate DOUBLE PRECISION), returns DECIMAL(12, 2));
                gross / (1 + rate)
                """,
            "functions/sql/net_of_two.sql": """
                FUNCTION (arguments (gross DECIMAL(12, 2)), returns DECIMAL(12, 2));
                2 * __udf("net")(gross, 0.25)
                """,
            "functions/sql/orders_of.sql": """
                FUNCTION (arguments (customer INTEGER), returns table (order_id INTEGER));
                SELECT order_id FROM __ref("orders") WHERE order_id = customer
                """,
            "functions/sql/numbers.sql": """
                FUNCTION (arguments (n INTEGER), returns table (number INTEGER));
                SELECT g.x AS number FROM generate_series(1, n) AS g(x)
                """,
            "models/nets.sql": """
                SELECT order_id, __udf("net_of_two")(cents) AS net, n.number
                FROM __ref("orders") JOIN __table_fn("numbers")(2) AS n ON n.number = order_id
                """,
            "models/counted.sql": """
                SELECT count(*) AS orders FROM __table_fn("orders_of")((SELECT max(order_id) FROM __ref("orders")))
                """,
            "models/daily.sql": """
                MODEL (
                  materialized incremental, incremental_strategy append, cursor ordered_at, cursor_type timestamp,
                  cursor_grain day, cursor_inputs (raw_orders ordered_at),
                );
                SELECT id, ordered_at FROM __source("raw_orders")
                WHERE ordered_at >= __cursor_start() AND ordered_at < __cursor_end()
                """,
            "tests/unit/functions.sql": """
                TEST (name "window", cursor_start "2026-02-01", cursor_end "2026-02-03");
                WITH
                days(day) AS (VALUES ('2026-01-31'), ('2026-02-01'), ('2026-02-03')),
                __source__raw_orders AS (SELECT 1 AS id, CAST(day AS TIMESTAMP) AS ordered_at FROM days),
                __expected__daily AS (SELECT '2026-02-01 00:00:00' AS ordered_at)

                TEST (name "udf");
                WITH input AS (SELECT 125 AS gross),
                __udf_actual__ AS (SELECT gross, __udf("net_of_two")(gross) AS net FROM input),
                __udf_expected__ AS (SELECT 125 AS gross, 200 AS net)

                TEST (name "table_fn", mode table_fn);
                WITH __table_fn_actual__ AS (SELECT * FROM __table_fn("numbers")(2)),
                __table_fn_expected__ AS (SELECT 2 AS number UNION ALL SELECT 1)

                TEST (name "called_by_a_model");
                WITH __ref__orders AS (SELECT 1 AS order_id, 125 AS cents),
                __expected__nets AS (SELECT 1 AS order_id, 200 AS net, 1 AS number)

                TEST (name "mocked");
                WITH __table_fn__orders_of AS (SELECT 1 AS order_id UNION ALL SELECT 2),
                __expected__counted AS (SELECT 2 AS orders)

                TEST (name "reads_a_mock");
                WITH ids AS (SELECT 1 AS order_id UNION ALL SELECT 2),
                __ref__orders AS (SELECT order_id FROM ids UNION ALL SELECT 2),
                __table_fn_actual__ AS (SELECT * FROM __table_fn("orders_of")(2)),
                __table_fn_expected__ AS (SELECT 2 AS order_id UNION ALL SELECT 2)

                TEST (name "reads_no_rows", mode table_fn);
                WITH __ref__orders AS (SELECT 7 AS order_id WHERE FALSE),
                __table_fn_actual__ AS (SELECT count(*) AS n FROM __table_fn("orders_of")(2)),
                __table_fn_expected__ AS (SELECT 0 AS n)

                TEST (name "reads_a_mock_in_a_model");
                WITH __ref__orders AS (SELECT 3 AS order_id UNION ALL SELECT 3),
                __expected__counted AS (SELECT 2 AS orders)
                """,
        }
    )
    tested = shop.sqb("test", "tests/unit/functions.sql")
    assert tested.code == 0, tested.everything
    built = shop.sqb("build", "test:udf", "test:called_by_a_model")
    assert built.code == 0, built.everything
    assert shop.statuses() == dict.fromkeys(("test:udf", "test:called_by_a_model"), "succeeded")
    shop.write(
        {"functions/sql/net.sql": "FUNCTION (arguments (gross INTEGER, rate INTEGER), returns INTEGER);\ngross + 1\n"}
    )
    assert shop.sqb("test", "test:udf").code == 1
    shop.write(
        {
            "tests/unit/functions.sql": 'TEST();\nWITH __table_fn_actual__ AS (SELECT * FROM __table_fn("orders_of")(1)),\n'
            "__table_fn_expected__ AS (SELECT 1 AS order_id)\n"
        }
    )
    refused = shop.sqb("compile")
    assert 'the function orders_of reads __ref("orders"), which the test does not mock' in refused.err
    assert "help: add __ref__orders AS (SELECT ...)" in refused.err


def test_tests_are_planned_listed_selected_and_described(shop):
    planned = [node["id"] for node in shop.sqb("plan", "revenue", "--no-tests", "--json").json["nodes"]]
    assert planned == ["model:orders", "model:revenue"]
    planned = [node["id"] for node in shop.sqb("plan", "alone", "orders", "--json").json["nodes"]]
    assert planned == ["model:alone", "test:states are upper case", "model:orders"]
    assert set(shop.sqb("list", "test:*").out.split("\n")[:-1]) == {name.removeprefix("test:") for name in NAMES}
    assert shop.sqb("list", "tag:fast").out == "states are upper case\n"
    tested = shop.sqb("test", "test:revenue_by_state", "--case", "open_case", "--json")
    assert list(tested.json["counts"]) == ["succeeded"]
    (result,) = tested.json["results"]
    assert result["name"] == "revenue_by_state[open_case]"
    assert result["payload"]["parameters"] == {"state": "open", "orders": 2}
    document = shop.sqb("dag", "--json").json
    described = next(test for test in document["tests"] if test["id"] == "test:chain")
    assert described == {
        "id": "test:chain",
        "tests": ["model:revenue"],
        "runs": ["model:orders", "model:revenue"],
        "mocks": ["source:raw_orders"],
    }


def test_everything_wrong_with_tests_is_told_at_once_with_its_place(project):
    project.write(SHOP).write(
        {
            "tests/unit/wrong.sql": """
                TEST (name "one");
                WITH __expected__revenue AS (SELECT 1 AS orders)

                TEST (name "two");
                WITH __source__raw_orders AS (SELECT 1 AS id),
                __expected__ordres AS (SELECT 1 AS order_id)

                TEST (name "three");
                WITH __source__raw_orders AS (SELECT 1 AS id FROM),
                __expected__orders AS (SELECT 1 AS order_id)
                """
        }
    )
    compiled = project.sqb("compile")
    assert compiled.code == 2
    assert 'tests/unit/wrong.sql:3:6: one: orders (revenue -> orders) reads __source("raw_orders")' in compiled.err
    assert "help: add __source__raw_orders AS (SELECT ...)" in compiled.err
    assert 'tests/unit/wrong.sql:7:1: two: __expected__ordres: there is no model "ordres"' in compiled.err
    assert "did you mean __expected__orders?" in compiled.err
    assert "error[SQL_SYNTAX] tests/unit/wrong.sql:10" in compiled.err


def test_a_test_that_takes_too_long_is_stopped_at_its_limit(project):
    project.write(
        {
            "models/numbers.sql": """
                SELECT sum(a.range * b.range % 7) AS total FROM range(10000000) a, range(10000000) b
                """,
            "tests/unit/endless.sql": "TEST();\nWITH __expected__numbers AS (SELECT 1 AS total)\n",
        }
    )
    tested = project.sqb("test", "--test-timeout", "0.2s")
    assert tested.code == 1
    assert project.statuses() == {"test:endless": "timed_out"}
    assert project.sqb("test", "--test-timeout", "soon").code == 2
