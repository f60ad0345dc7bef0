"""SQL models: a view is replaced, a table is built in staging and swapped in."""

from __future__ import annotations

import functools
import re
from collections.abc import Container, Mapping

from sqlbuild.domain.events import NodeLogged
from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.nodes import Materialization, Model
from sqlbuild.domain.plans import Plan
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import PLAIN_BUILD, BuildOrder, CommitMarker, Warehouse
from sqlbuild.runner.outcomes import Outcome, Returned
from sqlbuild.runner.run_order import RunOrder, RunServices

PART = "table"

_LINE = re.compile(r"\bLINE (\d+):")


class ModelBuilder:
    """Builds the models of one run; `results` has every node of `plan` that has ended."""

    def __init__(self, plan: Plan, order: RunOrder, services: RunServices, results: Container[NodeId]) -> None:
        self._plan = plan
        self._order = order
        self._services = services
        self._is_built_later = BuildsToCome(plan, results)

    async def build(self, node: Node, attempt: int) -> Outcome:
        """Raises WarehouseError."""
        model = node.declaration
        assert isinstance(model, Model)
        order = BuildOrder(
            indexes=model.indexes,
            grants=model.grants,
            types={column.name: column.type for column in model.columns if column.type},
            is_built_later=self._is_built_later,
            tell=functools.partial(self._tell, node, attempt),
        )
        return await build_model(node, self._services.warehouse, self._order, attempt, order)

    def _tell(self, node: Node, attempt: int, message: str) -> None:
        event = NodeLogged(self._services.clock.now(), node.id, node.name, attempt, "warning", message, {})
        logs = self._services.logs
        (self._services.publish if logs is None else logs.said)(event)


class BuildsToCome:
    """Whether a run will still build a relation; `results` has every node of `plan` that has ended."""

    def __init__(self, plan: Plan, results: Container[NodeId]) -> None:
        self._plan = plan
        self._results = results
        self._by_relation: Mapping[Relation, NodeId] | None = None

    def __call__(self, relation: Relation) -> bool:
        if self._by_relation is None:
            steps = self._plan.steps.values()
            self._by_relation = {
                _key(step.node.relation): step.node.id
                for step in steps
                if step.node.relation is not None and isinstance(step.node.declaration, Model)
            }
        node = self._by_relation.get(_key(relation))
        return node is not None and node not in self._results


def _key(relation: Relation) -> Relation:
    """Without the database: the run builds into one, whether it is named or not."""
    return Relation("", relation.schema, relation.name)


async def build_model(
    node: Node, warehouse: Warehouse, order: RunOrder, attempt: int, how: BuildOrder = PLAIN_BUILD
) -> Outcome:
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
                await warehouse.build_view(connection, node.relation, node.sql, order=how)
            case Materialization.TABLE:
                commit = _marker(node, order, attempt)
                await warehouse.build_table(connection, node.relation, node.sql, commit=commit, order=how)
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
