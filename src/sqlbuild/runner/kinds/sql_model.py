"""SQL models: a view is replaced, a table is built in staging and swapped in."""

from __future__ import annotations

import functools
from collections.abc import Container, Mapping

from sqlbuild.domain.events import NodeLogged
from sqlbuild.domain.graph import Node
from sqlbuild.domain.hooks import HookPhase
from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.nodes import Function, Materialization, Model, Seed, UnitTest
from sqlbuild.domain.plans import Plan
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import PLAIN_BUILD, BuildOrder, CommitMarker, Connection, Warehouse
from sqlbuild.runner.kinds.contract import check_contract
from sqlbuild.runner.kinds.model_hooks import ModelHooks
from sqlbuild.runner.kinds.seed import load_seed
from sqlbuild.runner.kinds.sql_function import build_function
from sqlbuild.runner.kinds.sql_place import placed
from sqlbuild.runner.kinds.unit_test import run_unit_test
from sqlbuild.runner.node_session import NodeEnvironment
from sqlbuild.runner.outcomes import Outcome, Returned
from sqlbuild.runner.run_order import RunOrder, RunServices

PART = "table"


class ModelBuilder:
    """Builds the models of one run, loads its seeds and runs its unit tests; `results` has every node of `plan` that has
    ended."""

    def __init__(
        self,
        plan: Plan,
        order: RunOrder,
        services: RunServices,
        results: Container[NodeId],
        environment: NodeEnvironment,
    ) -> None:
        self._plan = plan
        self._order = order
        self._services = services
        self._environment = environment
        self._is_built_later = BuildsToCome(plan, results)

    async def build(self, node: Node, attempt: int) -> Outcome:
        """Raises WarehouseError, of a seed SeedError too."""
        if isinstance(node.declaration, Function):
            return await build_function(node, node.declaration, self._services)
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
        return await build_model(
            node, self._services.warehouse, self._order, attempt, order, self._environment if node.hooks else None
        )

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
    node: Node,
    warehouse: Warehouse,
    order: RunOrder,
    attempt: int,
    how: BuildOrder = PLAIN_BUILD,
    environment: NodeEnvironment | None = None,
) -> Outcome:
    """Build one model over a connection of its own; of a table a row in `order.commits` says so, unless hooks come after.

    `environment` is for a model with hooks.

    Raises WarehouseError with the place in the model's file.
    """
    model = node.declaration
    assert isinstance(model, Model)
    connection = warehouse.connect()
    hooks = None if environment is None else ModelHooks(node, attempt, connection, environment)
    try:
        skipped = None if hooks is None else await hooks.run(HookPhase.PRE)
        if skipped is not None:
            return skipped
        # Who finds the marker of a run that was killed would think that the hooks behind it have run too.
        commit = None if model.post_hooks else _marker(node, order, attempt)
        await _build(node, warehouse, connection, commit, how)
        skipped = None if hooks is None else await hooks.run(HookPhase.POST)
    finally:
        await connection.close()
    return skipped or Returned()


async def _build(
    node: Node, warehouse: Warehouse, connection: Connection, commit: CommitMarker | None, how: BuildOrder
) -> None:
    model = node.declaration
    assert isinstance(model, Model)
    assert node.relation is not None
    assert node.sql is not None
    try:
        if model.contract == "enforced":
            await check_contract(connection, model, node.sql)
        match model.materialized:
            case Materialization.VIEW:
                await warehouse.build_view(connection, node.relation, node.sql, order=how)
            case Materialization.TABLE:
                await warehouse.build_table(connection, node.relation, node.sql, commit=commit, order=how)
    except WarehouseError as error:
        raise placed(error, node) from error


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
