"""SQL functions of PostgreSQL, replaced under whatever depends on them.

Views are bound to a function and not to its name. One that takes and gives what it did before is replaced as it is, so
that views call the new one. Of another kind the old one stays for them under another name, until none is left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.nodes import Function
from sqlbuild.drivers.postgres import PostgresConnection
from sqlbuild.drivers.postgres_errors import translated
from sqlbuild.errors import WarehouseError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.warehouse import Connection
from sqlbuild.sql.rendering import in_brackets, quote_identifier, quote_relation
from sqlbuild.warehouses.postgres_dependents import KEPT_PREFIX

NEW_PREFIX = "_sqlbuild_new_"

_CALLED_SO = """
SELECT p.oid, p.oid::regprocedure::text AS written, p.prokind::text AS kind,
    concat_ws(' ', p.proargtypes, p.prorettype, p.proretset, p.proallargtypes, p.proargmodes, p.proargnames) AS signature,
    EXISTS (
        SELECT FROM pg_depend AS d
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    ) AS of_extension
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = $1 AND p.proname = $2
"""
_UNUSED = r"""
SELECT p.oid::regprocedure::text
FROM pg_proc AS p
WHERE p.proname LIKE '\_sqlbuild\_kept\_%' AND p.prokind = 'f' AND pg_has_role(p.proowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid)
"""


class PostgresFunctions:
    """`sqlbuild.interfaces.functions.FunctionBuilding`."""

    async def build_function(self, connection: Connection, name: Relation, function: Function, sql: str) -> None:
        assert isinstance(connection, PostgresConnection)

        async def build(raw: Any) -> None:
            async with raw.transaction():
                await _replace(raw, name, function, sql)
                failpoint("warehouse.committing")

        await connection.run(build)


async def _replace(raw: Any, name: Relation, function: Function, sql: str) -> None:
    """In a transaction. The new one is made beside the old, to see whether it takes and gives the same."""
    mark = hashlib.sha256(name.name.encode()).hexdigest()[:16]
    beside = Relation(name.database, name.schema, f"{NEW_PREFIX}{mark}")
    create = f"CREATE FUNCTION {function_definition(beside, function, sql)}"
    with translated(sql, create):
        await raw.execute(create)
    (new,) = await raw.fetch(_CALLED_SO, beside.schema, beside.name)
    is_replaced = False
    for old in await raw.fetch(_CALLED_SO, name.schema, name.name):
        if old["kind"] != "f" or old["of_extension"]:
            what = "belongs to an extension" if old["of_extension"] else "is no plain function"
            raise WarehouseError(f"{old['written']} exists and {what}", help="give the function another name")
        if old["signature"] == new["signature"]:
            is_replaced = True
            continue
        with translated():
            aside = quote_identifier(f"{KEPT_PREFIX}{old['oid']}")
            await raw.execute(f"ALTER FUNCTION {old['written']} RENAME TO {aside}")
    if is_replaced:
        again = f"CREATE OR REPLACE FUNCTION {function_definition(name, function, sql)}"
        with translated(sql, again):
            await raw.execute(f"DROP FUNCTION {new['written']}")
            await raw.execute(again)
    else:
        with translated():
            await raw.execute(f"ALTER FUNCTION {new['written']} RENAME TO {quote_identifier(name.name)}")
    for (unused,) in await raw.fetch(_UNUSED):
        with translated():
            await raw.execute(f"DROP FUNCTION {unused}")


def function_definition(name: Relation, function: Function, sql: str) -> str:
    """What stands behind CREATE FUNCTION; the author's SQL begins on its first line."""
    if function.is_table:
        returns, body = f"TABLE ({_typed(function.columns)})", _query(function, sql)
    else:
        returns, body = str(function.returns), f"SELECT CAST({in_brackets(in_brackets(sql))} AS {function.returns})"
    # Only then may it become part of the query that calls it, and read the same snapshot.
    stable = " STABLE" if function.is_table or function.references else ""
    quote = _dollar_quote(body)
    return (
        f"{quote_relation(name)}({_typed(function.arguments)}) RETURNS {returns} LANGUAGE sql{stable} "
        f"AS {quote}{body}{quote}"
    )


def _query(function: Function, sql: str) -> str:
    names = [quote_identifier(column.name.lower()) for column in function.columns]
    casts = ", ".join(f"CAST(_.{name} AS {column.type})" for name, column in zip(names, function.columns, strict=True))
    return f"SELECT {casts} FROM {in_brackets(sql)} AS _({', '.join(names)})"


def _typed(columns: Iterable[Column]) -> str:
    # In lower case: what is not quoted in the author's SQL is so too.
    return ", ".join(f"{quote_identifier(column.name.lower())} {column.type}" for column in columns)


def _dollar_quote(body: str) -> str:
    number = 0
    while (quote := f"$sqlbuild{number or ''}$") in body:
        number += 1
    return quote
