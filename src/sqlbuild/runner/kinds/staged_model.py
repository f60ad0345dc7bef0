"""Models that are built in two steps, because their gates look at them in between."""

from __future__ import annotations

import contextlib
import dataclasses

import anyio

from sqlbuild.domain.graph import Node
from sqlbuild.domain.hooks import HookPhase
from sqlbuild.domain.nodes import Materialization, Model
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import BuildOrder, CommitMarker, Connection
from sqlbuild.runner.kinds.contract import check_contract
from sqlbuild.runner.kinds.model_hooks import ModelHooks
from sqlbuild.runner.kinds.sql_place import placed
from sqlbuild.runner.node_session import NodeEnvironment
from sqlbuild.runner.outcomes import Outcome, Returned, Staged
from sqlbuild.runner.run_order import RunOrder, RunServices
from sqlbuild.runner.staging import drop_staged, staging_name

PART = "table"
CLEAN_UP_SECONDS = 5.0


def marker_of(node: Node, order: RunOrder, attempt: int) -> CommitMarker | None:
    if order.commits is None:
        return None
    return CommitMarker(relation=order.commits, run_id=order.run_id, node=node.id, part=PART, attempt=attempt)


class StagedModel:
    """One of them; `environment` is for a model with hooks."""

    def __init__(
        self,
        node: Node,
        services: RunServices,
        order: RunOrder,
        how: BuildOrder,
        environment: NodeEnvironment | None,
    ) -> None:
        assert isinstance(node.declaration, Model)
        assert node.relation is not None
        assert node.sql is not None
        assert services.staging is not None
        self._node = node
        self._model = node.declaration
        self._relation = node.relation
        self._sql = node.sql
        self._is_view = node.declaration.materialized is Materialization.VIEW
        self._warehouse = services.warehouse
        self._staging = services.staging
        self._order = order
        self._how = how
        self._environment = environment
        self._staged = dataclasses.replace(node.relation, name=staging_name(order.run_id, node.relation.name))
        self._is_promoted = False

    async def stage(self, attempt: int) -> Outcome:
        """Hooks that come before, then the relation under a name of its own. Raises WarehouseError with the place in the
        model's file; then nothing is left."""
        connection = self._warehouse.connect()
        try:
            skipped = await self._hooks(HookPhase.PRE, connection, attempt)
            if skipped is not None:
                return skipped
            await self._stage(connection)
        finally:
            await connection.close()
        return Staged(self._staged, self.promote, self.discard)

    async def _stage(self, connection: Connection) -> None:
        try:
            if self._model.contract == "enforced":
                await check_contract(connection, self._model, self._sql)
            if self._is_view:
                await self._staging.stage_view(connection, self._staged, self._sql)
            else:
                await self._staging.stage_table(connection, self._staged, self._sql, order=self._how)
        except BaseException as error:
            # A cancellation may have come when it was there.
            with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True), contextlib.suppress(WarehouseError):
                await drop_staged(connection, self._staged)
            if isinstance(error, WarehouseError):
                raise placed(error, self._node) from error
            raise

    async def promote(self, attempt: int) -> Outcome:
        """It takes its place, then come the hooks behind it. Raises WarehouseError; what is done is not done again."""
        connection = self._warehouse.connect()
        try:
            if not self._is_promoted:
                await self._promote(connection, attempt)
                self._is_promoted = True
            skipped = await self._hooks(HookPhase.POST, connection, attempt)
        finally:
            await connection.close()
        return skipped or Returned()

    async def _promote(self, connection: Connection, attempt: int) -> None:
        # Who finds the marker of a run that was killed would think that the hooks behind it have run too.
        commit = None if self._model.post_hooks else marker_of(self._node, self._order, attempt)
        try:
            if self._is_view:
                await self._staging.promote_view(connection, self._staged, self._relation, self._sql, order=self._how)
            else:
                await self._staging.promote_table(
                    connection, self._staged, self._relation, commit=commit, order=self._how
                )
        except WarehouseError as error:
            raise placed(error, self._node) from error

    async def _hooks(self, phase: HookPhase, connection: Connection, attempt: int) -> Outcome | None:
        if self._environment is None:
            return None
        return await ModelHooks(self._node, attempt, connection, self._environment).run(phase)

    async def discard(self) -> None:
        """Raises WarehouseError."""
        connection = self._warehouse.connect()
        try:
            await drop_staged(connection, self._staged)
        finally:
            await connection.close()
