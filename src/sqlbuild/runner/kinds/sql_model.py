"""SQL models: a view is replaced, a table is built in staging and swapped in."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlbuild.domain.events import NodeLogged, NodeProgress
from sqlbuild.domain.graph import Node
from sqlbuild.domain.hooks import HookPhase
from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.incremental import IncrementalBuild
from sqlbuild.domain.nodes import Function, Materialization, Model, Seed, UnitTest
from sqlbuild.domain.plans import Plan
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import PLAIN_BUILD, BuildOrder, CommitMarker, Connection, Warehouse
from sqlbuild.runner import kinds
from sqlbuild.runner.checkpoints import RunCheckpoints
from sqlbuild.runner.kinds.contract import check_contract
from sqlbuild.runner.kinds.model_hooks import ModelHooks
from sqlbuild.runner.kinds.sql_place import placed
from sqlbuild.runner.kinds.staged_model import StagedModel, marker_of
from sqlbuild.runner.node_session import NodeEnvironment
from sqlbuild.runner.outcomes import Outcome, Returned
from sqlbuild.runner.run_order import RunOrder, RunServices

if TYPE_CHECKING:
    from sqlbuild.runner.kinds.incremental_model import Growth

GiveWay = Callable[[], Awaitable[None]]
Look = Callable[[Node, Connection, Relation, bool], Awaitable[None]]
"""See `AuditRunner.look`."""


class ModelBuilder:
    """Builds the models of one run, stages those that are `gated`, loads its seeds and runs its unit tests.

    `results` has every node of `plan` that has ended; audits `look` at what incremental models have staged.
    """

    def __init__(
        self,
        plan: Plan,
        order: RunOrder,
        services: RunServices,
        results: Container[NodeId],
        environment: NodeEnvironment,
        checkpoints: RunCheckpoints | None = None,
        gated: Container[NodeId] = frozenset(),
        look: Look | None = None,
    ) -> None:
        self._plan = plan
        self._order = order
        self._gated = gated
        self._services = services
        self._environment = environment
        self._checkpoints = checkpoints
        self._look = look
        self._is_built_later = BuildsToCome(plan, results)

    async def build(self, node: Node, attempt: int, give_way: GiveWay | None = None) -> Outcome:
        """`give_way` lets others have the node's slot for a while. Raises WarehouseError, of a seed SeedError too."""
        if isinstance(node.declaration, Function):
            return await kinds.sql_function.build_function(node, node.declaration, self._services)
        model = node.declaration
        if isinstance(model, Seed):
            how = BuildOrder(is_built_later=self._is_built_later, tell=functools.partial(self._tell, node, attempt))
            loading = self._services.loading
            assert loading is not None
            return await kinds.seed.load_seed(node, self._services.warehouse, loading, self._order, attempt, how)
        if isinstance(model, UnitTest):
            comparing = self._services.comparing
            assert comparing is not None
            return await kinds.unit_test.run_unit_test(
                node, self._services.warehouse, comparing, self._order.max_payload_bytes, self._plan.graph.nodes
            )
        assert isinstance(model, Model)
        order = BuildOrder(
            indexes=model.indexes,
            grants=model.grants,
            types={column.name: column.type for column in model.columns if column.type},
            is_built_later=self._is_built_later,
            tell=functools.partial(self._tell, node, attempt),
        )
        growth = None if model.incremental is None else self._growth(node, attempt, order, give_way)
        environment = self._environment if node.hooks else None
        if node.id in self._gated:
            return await StagedModel(node, self._services, self._order, order, environment).stage(attempt)
        return await build_model(node, self._services.warehouse, self._order, attempt, order, environment, growth)

    def _growth(self, node: Node, attempt: int, order: BuildOrder, give_way: GiveWay | None) -> Growth:
        growing, services = kinds.incremental_model, self._services
        assert services.deltas is not None
        assert services.staging is not None
        checkpoints = self._checkpoints
        with_these = growing.GrowthServices(
            deltas=services.deltas,
            staging=services.staging,
            run_id=self._order.run_id,
            commits=self._order.commits,
            kept={} if checkpoints is None else dict(checkpoints.of_node(node.id, growing.SCOPE)),
            keep=functools.partial(self._keep, node, attempt),
            progress=functools.partial(self._progress, node),
            give_way=give_way or growing.goes_on,
            look=growing.nobody_looks if self._look is None else functools.partial(self._look, node),
        )
        return growing.Growth(
            node, self._plan.steps[node.id].incremental or IncrementalBuild(), with_these, attempt, order
        )

    def _keep(self, node: Node, attempt: int, entries: Sequence[tuple[str, str]]) -> None:
        if self._checkpoints is not None:
            self._checkpoints.keep(node, attempt, kinds.incremental_model.SCOPE, entries)

    def _progress(self, node: Node, done: int, all_: int, what: str) -> None:
        self._services.publish(NodeProgress(self._services.clock.now(), node.id, done, all_, what))

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
    growth: Growth | None = None,
) -> Outcome:
    """Build one model over a connection of its own; of a table a row in `order.commits` says so, unless hooks come after.

    `environment` is for a model with hooks, `growth` for an incremental one.

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
        commit = None if model.post_hooks else marker_of(node, order, attempt)
        built = await _build(node, warehouse, connection, commit, how, growth)
        skipped = None if hooks is None else await hooks.run(HookPhase.POST)
    finally:
        await connection.close()
    return skipped or built


async def _build(
    node: Node,
    warehouse: Warehouse,
    connection: Connection,
    commit: CommitMarker | None,
    how: BuildOrder,
    growth: Growth | None,
) -> Returned:
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
            case Materialization.INCREMENTAL:
                assert growth is not None
                return await growth.build(connection)
    except WarehouseError as error:
        ran = error if growth is None else _as_of_the_node(error, growth.sql, node)
        raise placed(ran, node) from error
    return Returned()


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


def _as_of_the_node(error: WarehouseError, sql: str, node: Node) -> WarehouseError:
    """The same error of the node's own SQL, which has the same lines as `sql`, what a build of it has run."""
    statement = error.sql.replace(sql, node.sql or "")
    return WarehouseError(*error.args, help=error.help, sql=statement, transient=error.transient)
