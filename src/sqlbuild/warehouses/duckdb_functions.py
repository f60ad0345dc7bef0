"""SQL functions as macros of DuckDB."""

from __future__ import annotations

from collections.abc import Iterator

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.nodes import Function
from sqlbuild.interfaces.warehouse import Connection, Parameters
from sqlbuild.sql.rendering import in_brackets, quote_identifier, quote_relation

TYPED_PREFIX = "_sqlbuild_typed_"


class DuckDBFunctions:
    """`sqlbuild.interfaces.functions.FunctionBuilding`.

    A macro with types takes no others, not even text for a date, and one without knows nothing of them. So the function
    is one without, which casts what it is given and calls one with types beside it. Views and macros hold no more than
    the name of a macro that they call.
    """

    async def build_function(self, connection: Connection, name: Relation, function: Function, sql: str) -> None:
        await connection.execute_together(_statements(name, function, sql))


def _statements(name: Relation, function: Function, sql: str) -> Iterator[tuple[str, Parameters]]:
    # The author's SQL begins on the first line, so that lines in messages are its own.
    body = (
        _table(function, sql) if function.is_table else f"CAST({in_brackets(in_brackets(sql))} AS {function.returns})"
    )
    table = "TABLE " if function.is_table else ""
    # Macros that give tables have names of their own: what it was before would stay beside it.
    other = "MACRO" if function.is_table else "MACRO TABLE"
    typed = Relation(name.database, name.schema, f"{TYPED_PREFIX}{name.name}")
    yield f"DROP {other} IF EXISTS {quote_relation(name)}", None
    yield f"DROP {other} IF EXISTS {quote_relation(typed)}", None
    if not function.arguments:
        yield f"CREATE OR REPLACE MACRO {quote_relation(name)}() AS {table}{body}", None
    else:
        names = [quote_identifier(each.name) for each in function.arguments]
        types = [each.type for each in function.arguments]
        declared = ", ".join(f"{argument} {type_}" for argument, type_ in zip(names, types, strict=True))
        cast = ", ".join(f"CAST({argument} AS {type_})" for argument, type_ in zip(names, types, strict=True))
        call = f"{quote_relation(typed)}({cast})"
        yield f"CREATE OR REPLACE MACRO {quote_relation(typed)}({declared}) AS {table}{body}", None
        outer = f"TABLE SELECT * FROM {call}" if function.is_table else call
        yield f"CREATE OR REPLACE MACRO {quote_relation(name)}({', '.join(names)}) AS {outer}", None


def _table(function: Function, sql: str) -> str:
    names = [quote_identifier(column.name) for column in function.columns]
    casts = ", ".join(
        f"CAST({name} AS {column.type}) AS {name}" for name, column in zip(names, function.columns, strict=True)
    )
    return f"SELECT {casts} FROM {in_brackets(sql)} AS _({', '.join(names)})"
