"""SQL models: a view is replaced, a table is built in staging and swapped in."""

from __future__ import annotations

import functools
import re
from collections.abc import Container, Mapping

from sqlbuild.domain.events import NodeLogged
from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeId, Place, Relation
from sqlbuild.domain.nodes import Materialization, Model, Seed, UnitTest
from sqlbuild.domain.plans import Plan
from sqlbuild.domain.source_map import Written, offset_of_line, written_at
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import PLAIN_BUILD, BuildOrder, CommitMarker, Warehouse
from sqlbuild.runner.kinds.contract import check_contract
from sqlbuild.runner.kinds.seed import load_seed
from sqlbuild.runner.kinds.unit_test import run_unit_test
from sqlbuild.runner.outcomes import Outcome, Returned
from sqlbuild.runner.run_order import RunOrder, RunServices

PART = "table"

_LINE = re.compile(r"\bLINE (\d+):")


class ModelBuilder:
    """Builds the models of one run, loads its seeds and runs its unit tests; `results` has every node of `plan` that has
    ended."""

    def __init__(self, plan: Plan, order: RunOrder, services: RunServices, results: Container[NodeId]) -> None:
        self._plan = plan
        self._order = order
        self._services = services
        self._is_built_later = BuildsToCome(plan, results)

    async def build(self, node: Node, attempt: int) -> Outcome:
        """Raises WarehouseError, of a seed SeedError too."""
        model = node.declaration
        if isinstance(model, Seed):
            how = BuildOrder(is_built_later=self._is_built_later, tell=functools.partial(self._tell, node, attempt))
            loading = self._services.loading
            assert loading is not None
            return await load_seed(node, self._services.warehouse, loading, self._order, attempt, how)
        if isinstance(model, UnitTest):
            comparing = self._services.comparing
            assert comparing is not None
            return await run_unit_test(node, self._services.warehouse, comparing, self._order.max_payload_bytes)
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
        if model.contract == "enforced":
            await check_contract(connection, model, node.sql)
        match model.materialized:
            case Materialization.VIEW:
                await warehouse.build_view(connection, node.relation, node.sql, order=how)
            case Materialization.TABLE:
                commit = _marker(node, order, attempt)
                await warehouse.build_table(connection, node.relation, node.sql, commit=commit, order=how)
    except WarehouseError as error:
        raise placed(error, node) from error
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
        raise placed(error, node) from error
    finally:
        await connection.close()


def placed(error: WarehouseError, node: Node) -> WarehouseError:
    """The same error with the place in the model's file instead of the line of the statement.

    Line n of the node's SQL is line n of the query as written, whatever stands before it in the statement, unless
    macros gave some of it: an error in what a macro gave is at the place of its call.
    """
    model, sql = node.declaration, node.sql
    assert isinstance(model, Model)
    assert sql is not None
    message = str(error.args[0]) if error.args else ""
    found = _LINE.search(message)
    start = error.sql.find(sql) if found else -1
    if found is None or start < 0:
        line: int | None = model.sql_line
    else:
        written = _written(found, message, error.sql, start, node)
        line = written.place.line
        place = f"{model.place.path}:{line}:"
        rest = _shift_caret(message[found.end() :], len(place) - len(found[0]))
        message = message[: found.start()] + place + rest
        if written.expansion is not None:
            message += f"\nThis is {written.expansion.told()}, which is called at {written.place}."
    told = WarehouseError(message, help=error.help, sql=error.sql, transient=error.transient)
    told.line = line
    return told


def _written(found: re.Match[str], message: str, statement: str, start: int, node: Node) -> Written:
    """Where the line of `statement` that `message` quotes was written; the node's SQL begins at `start` of it."""
    model, sql = node.declaration, node.sql
    assert isinstance(model, Model)
    assert sql is not None
    begin = Place(model.place.path, model.sql_line, model.sql_column)
    number = int(found[1])
    if node.expansions:
        at = offset_of_line(statement, number) + _quoted_column(message[found.end() :], statement, number)
        return written_at(sql, begin, node.expansions, min(max(at - start, 0), len(sql)))
    return Written(Place(model.place.path, number - statement.count("\n", 0, start) + model.sql_line - 1))


def _quoted_column(rest: str, statement: str, line: int) -> int:
    """Where in the line, from 0, the caret below its quotation points; the first visible place if there is none.

    A long line is quoted in part, with dots for what is left out.
    """
    quoted, _, below = rest.partition("\n")
    below = below.partition("\n")[0]
    begin = offset_of_line(statement, line)
    whole = statement[begin:].partition("\n")[0]
    blanks = len(whole) - len(whole.lstrip())
    caret = below.find("^")
    if caret < 0 or below[:caret].strip():
        return blanks
    # The caret stands below a line that begins with `LINE n:`, which `rest` does not have.
    inner = quoted.strip().removeprefix("...").removesuffix("...")
    there = whole.find(inner)
    if there < 0 or not inner:
        return blanks
    return there + max(caret - len(f"LINE {line}:") - quoted.find(inner), 0)


def _shift_caret(rest: str, by: int) -> str:
    """Under a quoted line stands a line with only a caret: it moves with what stands before the quotation."""
    quoted, newline, below = rest.partition("\n")
    caret = below.find("^")
    if caret < 0 or below[:caret].strip():
        return rest
    return quoted + newline + " " * max(0, caret + by) + below[caret:]
