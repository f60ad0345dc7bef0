"""SQL models: a view is replaced, a table is built in staging and swapped in."""

from __future__ import annotations

import re

from sqlbuild.domain.graph import Node
from sqlbuild.domain.nodes import Materialization, Model
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import CommitMarker, Warehouse
from sqlbuild.runner.outcomes import Outcome, Returned
from sqlbuild.runner.run_order import RunOrder

PART = "table"

_LINE = re.compile(r"\bLINE (\d+):")


async def build_model(node: Node, warehouse: Warehouse, order: RunOrder, attempt: int) -> Outcome:
    """Build one model over a connection of its own; of a table a row in `order.commits` says so.

    Raises WarehouseError with the place in the model's file.
    """
    model = node.declaration
    assert isinstance(model, Model)
    assert node.relation is not None
    assert node.sql is not None
    connection = warehouse.connect()
    try:
        match model.materialized:
            case Materialization.VIEW:
                await warehouse.build_view(connection, node.relation, node.sql)
            case Materialization.TABLE:
                commit = _marker(node, order, attempt)
                await warehouse.build_table(connection, node.relation, node.sql, commit=commit)
    except WarehouseError as error:
        raise _placed(error, model, node.sql) from error
    finally:
        await connection.close()
    return Returned()


def _marker(node: Node, order: RunOrder, attempt: int) -> CommitMarker | None:
    if order.commits is None:
        return None
    return CommitMarker(relation=order.commits, run_id=order.run_id, node=node.id, part=PART, attempt=attempt)


async def explain_model(node: Node, warehouse: Warehouse) -> None:
    """Let the warehouse look at a model's SQL without running it. Raises WarehouseError as `build_model` does."""
    model = node.declaration
    assert isinstance(model, Model)
    assert node.sql is not None
    connection = warehouse.connect()
    try:
        await connection.query(f"EXPLAIN {node.sql}")
    except WarehouseError as error:
        raise _placed(error, model, node.sql) from error
    finally:
        await connection.close()


def _placed(error: WarehouseError, model: Model, sql: str) -> WarehouseError:
    """The same error with the line of the model's file instead of the line of the statement.

    Line n of the rendered `sql` is line n of the query as written, whatever stands before it in the statement.
    """
    message = str(error.args[0]) if error.args else ""
    found = _LINE.search(message)
    start = error.sql.find(sql) if found else -1
    if found is None or start < 0:
        line = model.sql_line
    else:
        line = int(found[1]) - error.sql.count("\n", 0, start) + model.sql_line - 1
        place = f"{model.place.path}:{line}:"
        message = message[: found.start()] + place + _shift_caret(message[found.end() :], len(place) - len(found[0]))
    placed = WarehouseError(message, help=error.help, sql=error.sql, transient=error.transient)
    placed.line = line
    return placed


def _shift_caret(rest: str, by: int) -> str:
    """Under a quoted line stands a line with only a caret: it moves with what stands before the quotation."""
    quoted, newline, below = rest.partition("\n")
    caret = below.find("^")
    if caret < 0 or below[:caret].strip():
        return rest
    return quoted + newline + " " * max(0, caret + by) + below[caret:]
