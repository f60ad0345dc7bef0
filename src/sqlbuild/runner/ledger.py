"""How each node of a run has ended, in every place where that is kept or told: journal, warehouse, whoever watches."""

from __future__ import annotations

from collections.abc import Callable

from sqlbuild.domain.events import NodeFinished, RunFinished
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.masked_records import mask_result
from sqlbuild.domain.results import NodeResult, RunResult
from sqlbuild.errors import EngineError, WarehouseError
from sqlbuild.failpoints import failpoint
from sqlbuild.runner.result_writer import ResultWriter
from sqlbuild.runner.run_order import RunServices

MOST_TEXTS = 10_000
"""Half a kilobyte each, kept so that the end of a run need not make them again; what is not kept is made again."""


class Ledger:
    """`failed` is told what could not be written; the run goes to its end without it."""

    def __init__(self, services: RunServices, failed: Callable[[EngineError], None]) -> None:
        self._services = services
        # Looked up once, as they are used for every node.
        self._masker, self._encode = services.masker, services.encode
        self._write_finished, self._publish = services.journal.finished, services.publish
        self._failed = failed
        self._writer = ResultWriter(services.store, services.encode, failed)
        self.results: dict[NodeId, NodeResult] = {}
        """Of the nodes that have ended."""
        self.texts: dict[NodeId, str] = {}
        """The same as they were written, of the first MOST_TEXTS."""
        self.at_once = True
        """Whether an end is in the journal when `record` returns; if not, the next record or `write_out` writes it."""

    def record(self, result: NodeResult) -> None:
        if self._masker is not None:
            mask_result(result, self._masker)
        node = result.node_id
        self.results[node] = result
        text = self._encode(result)
        if len(self.texts) < MOST_TEXTS:
            self.texts[node] = text
        try:
            self._write_finished(text, at_once=self.at_once)
        except EngineError as error:
            self._failed(error)
        self._writer.add(text, result)
        self._publish(NodeFinished(result.finished_at or self._services.clock.now(), result))

    def write_out(self) -> None:
        try:
            self._services.journal.write_out()
        except EngineError as error:
            self._failed(error)

    async def keep_writing(self) -> None:
        """Results to the warehouse, until cancelled; then `flush` writes what is left."""
        await self._writer.run()

    async def flush(self) -> None:
        await self._writer.flush()


async def conclude_run(run: RunResult, services: RunServices) -> None:
    """The run's own record, after those of its nodes. Raises EngineError."""
    try:
        await services.store.append_run(run)
    except WarehouseError as error:
        raise EngineError(f"the run could not be written to the warehouse: {error}", help=error.help) from error
    failpoint("run.stored")
    # Last of all: a journal without an end says that something of the run may be missing in the warehouse.
    services.journal.ended(run)
    failpoint("run.ended")
    services.publish(RunFinished(run.finished_at, run))
