"""What every warehouse promises of SQL functions; see `sqlbuild.interfaces.functions`."""

from __future__ import annotations

import pytest

from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import Place, Relation
from sqlbuild.domain.nodes import Function
from sqlbuild.errors import WarehouseError
from sqlbuild.warehouses.duckdb_functions import DuckDBFunctions
from sqlbuild.warehouses.postgres_functions import PostgresFunctions

NAME = Relation("", "dev", "f")
INTEGER = Column(name="x", type="INTEGER")


@pytest.fixture
def make(place, connection):
    """Makes the function `dev.f`, by default one that takes an integer."""
    functions = PostgresFunctions() if place == "postgres" else DuckDBFunctions()

    async def make(sql: str, *, arguments=(INTEGER,), **given) -> None:
        function = Function(
            name="f", place=Place("functions/sql/f.sql", 1, 1), sql=sql, sql_line=3, arguments=arguments, **given
        )
        await functions.build_function(connection, NAME, function, sql)

    return make


@pytest.fixture
async def read(connection):
    async def read(sql):
        return await (await connection.query(sql)).fetch()

    return read


async def test_what_a_function_takes_and_gives_has_the_declared_types(connection, read, make):
    await make("x + 1 -- it's the end", returns="DOUBLE PRECISION")
    assert await read("SELECT dev.f(2), dev.f('3'), dev.f(NULL)") == [(3.0, 4.0, None)]
    ((made,),) = await read("SELECT dev.f(2) / 2")
    assert made == 1.5
    await make("(SELECT max(v) FROM (VALUES (1), (7)) AS t(v)) + x", returns="INTEGER")
    assert await read("SELECT dev.f(2)") == [(9,)]
    await make("SELECT 5", returns="TEXT", arguments=())
    assert await read("SELECT dev.f()") == [("5",)]


async def test_a_table_function_gives_its_columns_in_their_order(connection, read, make):
    await connection.execute("CREATE TABLE dev.orders AS SELECT 1 AS id, 7 AS customer UNION ALL SELECT 2, 8")
    columns = (Column(name="id", type="BIGINT"), Column(name="label", type="VARCHAR(20)"))
    await make(
        "SELECT id, '$sqlbuild$' || customer FROM dev.orders WHERE customer = x -- end", returns=None, columns=columns
    )
    assert await read("SELECT * FROM dev.f(7)") == [(1, "$sqlbuild$7")]
    assert await read("SELECT t.label FROM dev.f('8') AS t") == [("$sqlbuild$8",)]
    await make("SELECT count(*), 'all' FROM dev.orders", returns=None, columns=columns, arguments=())
    assert await read("SELECT * FROM dev.f()") == [(2, "all")]


async def test_a_view_calls_the_new_function_when_that_takes_and_gives_the_same(connection, read, make):
    await make("x + 1", returns="INTEGER")
    await connection.execute("CREATE VIEW dev.v AS SELECT dev.f(1) AS one")
    await make("x + 10", returns="INTEGER")
    assert await read("SELECT * FROM dev.v") == [(11,)]


async def test_a_view_goes_on_when_a_function_gives_something_else(connection, read, make):
    await make("x + 1", returns="INTEGER")
    await connection.execute("CREATE VIEW dev.v AS SELECT dev.f(1) AS one")
    await make("'new ' || x", returns="TEXT")
    assert await read("SELECT dev.f(1)") == [("new 1",)]
    ((one,),) = await read("SELECT * FROM dev.v")
    assert one in (2, "new 1")
    await connection.execute("DROP VIEW dev.v")
    await make("'newer ' || x", returns="TEXT")
    assert await read("SELECT dev.f(1)") == [("newer 1",)]


async def test_a_function_becomes_one_of_another_shape(read, make):
    two = (INTEGER, Column(name="y", type="INTEGER"))
    await make("x", returns="INTEGER")
    await make("x + y", returns="INTEGER", arguments=two)
    assert await read("SELECT dev.f(1, 2)") == [(3,)]
    with pytest.raises(WarehouseError):
        await read("SELECT dev.f(1)")
    await make("SELECT x", returns=None, columns=(Column(name="a", type="INTEGER"),))
    assert await read("SELECT a FROM dev.f(5) AS t") == [(5,)]
    await make("x * 2", returns="INTEGER")
    assert await read("SELECT dev.f(5)") == [(10,)]


async def test_the_old_function_stays_when_the_new_one_cannot_be_made(read, make):
    await make("x + 1", returns="INTEGER")
    with pytest.raises(WarehouseError, match="nope") as caught:
        await make("x +\n  nope(x)", returns="TEXT")
    assert "LINE 2:" in str(caught.value)
    assert await read("SELECT dev.f(1)") == [(2,)]


async def test_functions_call_each_other(connection, place, read, make):
    await make("x + 1", returns="INTEGER")
    functions = PostgresFunctions() if place == "postgres" else DuckDBFunctions()
    outer = Function(
        name="g", place=Place("g.sql"), sql="dev.f(x) * 2", sql_line=1, arguments=(INTEGER,), returns="INTEGER"
    )
    await functions.build_function(connection, Relation("", "dev", "g"), outer, outer.sql)
    assert await read("SELECT dev.g(1)") == [(4,)]
    await make("x + 2", returns="INTEGER")
    assert await read("SELECT dev.g(1)") == [(6,)]
