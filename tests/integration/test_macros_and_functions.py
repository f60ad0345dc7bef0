"""A library that lends books, with macros of several folders and SQL functions, on both warehouses."""

from __future__ import annotations

from pathlib import Path

import pytest

import sqlbuild
from sqlbuild.domain.results import Status

PROJECT = """
name = "library"
adapter = "{adapter}"
[connections.shelf]
{connection}
[targets.dev]
schema = "dev"
[vars]
days_allowed = 14
fees = {{ late = 25 }}
"""
CONNECTIONS = {"duckdb": 'database = "shop.duckdb"', "postgres": 'dsn = "${ENV:SHOP_DSN}"'}
FILES = {
    "macros/python/dates.py": '''
        """Dates of any warehouse."""

        def days_between(ctx, first: str, second: str) -> str:
            if ctx.adapter_name == "duckdb":
                return f"date_diff('day', {first}, {second})"
            return f"(({second})::date - ({first})::date)"

        def days_allowed(ctx) -> str:
            return str(ctx.vars["days_allowed"])

        def days_late(ctx, lent: str, back: str) -> str:
            late = f"{days_between(ctx, lent, back)} - {ctx.vars['days_allowed']}"
            return f"""greatest(  -- it's late
              {late}, 0)"""
    ''',
    "models/marts/_sqlbuild/macros/python/unions.py": """
        from sqlbuild.refs import SqlResourceRef

        def stacked(relations: list[SqlResourceRef], *, columns: list[str]) -> str:
            listed = ", ".join(columns)
            return "\\nUNION ALL\\n".join(f"SELECT {listed}, '{each.name}' AS branch FROM {each}" for each in relations)
    """,
    "models/marts/fees/_sqlbuild/_macros/python/fees.py": """
        from macros.python.dates import days_late

        def fee(ctx, days: str) -> str:
            return f"({days}) * {ctx.vars['fees']['late']}"
    """,
    "models/north.sql": """
        SELECT * FROM (VALUES
          (1, 'Emma', CAST('2026-01-01' AS DATE), CAST('2026-01-10' AS DATE)),
          (2, 'Emma', CAST('2026-01-01' AS DATE), CAST('2026-01-20' AS DATE))
        ) AS lent(book, reader, lent_on, back_on)
    """,
    "models/south.sql": """
        MODEL (materialized table);
        SELECT 3 AS book, 'Odo' AS reader, CAST('2026-02-01' AS DATE) AS lent_on, CAST('2026-02-25' AS DATE) AS back_on
    """,
    "models/marts/loans.sql": """
        MODEL (materialized table, columns (days_late (type INTEGER)));
        SELECT book, reader, branch, lent_on, @py.days_late("lent_on", "back_on") AS days_late, __udf("is_late")(lent_on, back_on) AS late
        FROM (
          @py.stacked([__ref("north"), __ref("south")], columns=["book", "reader", "lent_on", "back_on"])
        ) AS lent
    """,
    "models/marts/fees/fees.sql": """
        MODEL (materialized table);
        SELECT reader, CAST(sum(@py.fee("days_late")) AS INTEGER) AS cents, __udf("in_euros")(sum(@py.fee("days_late"))) AS euros
        FROM __ref("loans") GROUP BY reader
    """,
    "models/marts/late_loans.sql": """
        SELECT l.book, n.reader, l.days_late FROM __table_fn("loans_of")('Emma', 3) AS l JOIN __ref("north") AS n USING (book)
    """,
    "functions/sql/is_late.sql": """
        FUNCTION (
          description "Whether a book came back too late",
          arguments (lent_on DATE, back_on DATE),
          returns BOOLEAN,
        );
        @py.days_between("lent_on", "back_on") > @py.days_allowed()
    """,
    "functions/sql/in_euros.sql": "FUNCTION (arguments (cents DOUBLE PRECISION), returns DECIMAL(10, 2));\ncents / 100.0\n",
    "functions/sql/loans_of.sql": """
        FUNCTION (
          arguments (who VARCHAR, at_least INTEGER),
          returns table (book INTEGER, days_late INTEGER),
        );
        SELECT book, days_late FROM __ref("loans") WHERE reader = who AND days_late >= at_least
    """,
}
EXPECTED = {
    "SELECT book, reader, branch, days_late, late FROM dev.loans ORDER BY 1": [
        (1, "Emma", "north", 0, False),
        (2, "Emma", "north", 5, True),
        (3, "Odo", "south", 10, True),
    ],
    "SELECT reader, cents, CAST(euros AS VARCHAR) FROM dev.fees ORDER BY 1": [("Emma", 125, "1.25"), ("Odo", 250, "2.50")],
    "SELECT * FROM dev.late_loans": [(2, "Emma", 5)],
}  # fmt: skip


@pytest.fixture(params=["duckdb", "postgres"])
def library(request, project, monkeypatch):
    """The project's folder, and what reads its warehouse."""
    if request.param == "postgres":
        server, url = request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_url")
        monkeypatch.setenv("SHOP_DSN", url)
        database = url.partition("@/")[2].partition("?")[0]
        rows = lambda sql: server.sql(sql, database=database)  # noqa: E731
    else:
        rows = project.rows
    settings = PROJECT.format(adapter=request.param, connection=CONNECTIONS[request.param])
    project.write({**FILES, "sqlbuild_project.toml": settings})
    return project.root, lambda sql: [tuple(map(_plain, row)) for row in rows(sql)]


def _plain(value: object) -> object:
    """As text, in which one of the two readers gives everything."""
    return {"True": "t", "False": "f"}.get(str(value), str(value))


def edit(root: Path, path: str, old: str, new: str) -> None:
    text = (root / path).read_text()
    assert old in text
    (root / path).write_text(text.replace(old, new))


def test_macros_and_functions_build_exactly_these_tables_and_changes_go_through_them(library):
    root, rows = library
    sqlbuild.build(root).raise_for_failures()
    for sql, expected in EXPECTED.items():
        assert rows(sql) == [tuple(map(_plain, row)) for row in expected]

    edit(root, "functions/sql/is_late.sql", "> @py", "> 100 + @py")
    run = sqlbuild.build(root, select=["loans"])
    assert {id: result.status for id, result in run.results.items()} == {
        "function:is_late": Status.SUCCEEDED,
        "model:loans": Status.SUCCEEDED,
    }
    assert rows("SELECT count(*) FROM dev.loans WHERE late") == [("0",)]

    edit(root, "functions/sql/loans_of.sql", "days_late INTEGER", "days_late VARCHAR")
    edit(root, "functions/sql/loans_of.sql", "book, days_late FROM", "book, 'days: ' || days_late FROM")
    edit(root, "functions/sql/loans_of.sql", "|| days_late", "|| days_late AS days_late")
    sqlbuild.build(root, select=["loans_of"]).raise_for_failures()
    ((_, _, days),) = rows("SELECT * FROM dev.late_loans")
    assert days in ("5", "days: 5")
    sqlbuild.build(root, select=["late_loans"]).raise_for_failures()
    assert rows("SELECT * FROM dev.late_loans") == [("2", "Emma", "days: 5")]


def test_an_error_of_the_warehouse_in_what_a_macro_gave_is_told_at_its_call(library):
    root, _ = library
    edit(root, "models/marts/fees/_sqlbuild/_macros/python/fees.py", "({days}) *", "CAST({days} AS DATE) *")
    (failed,) = sqlbuild.build(root, select=["fees"]).failures
    assert failed.error is not None
    assert "models/marts/fees/fees.sql:3:" in failed.error.message
    assert (
        "This is the SQL of the macro fee (models/marts/fees/_sqlbuild/_macros/python/fees.py:4), which is called at "
        "models/marts/fees/fees.sql:3:25." in failed.error.message
    )
    assert failed.error.line == 3


def test_commands_show_functions(project):
    settings = PROJECT.format(adapter="duckdb", connection=CONNECTIONS["duckdb"])
    project.write({**FILES, "sqlbuild_project.toml": settings})
    project.build()
    shown = project.sqb("show", "loans_of").out
    assert '__table_fn("loans_of")(who VARCHAR, at_least INTEGER)' in shown
    assert "table of 2 columns" in shown
    assert "days_late (macros/python/dates.py:12), stacked (models/marts/_sqlbuild/" in project.sqb("show", "loans").out
    listed = project.sqb("list", "-s", "function:*", "--json").json
    assert {node["name"] for node in listed["nodes"]} == {"is_late", "in_euros", "loans_of"}
    assert "function" in project.sqb("plan", "-s", "late_loans").out
