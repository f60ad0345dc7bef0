"""Results on their way to the warehouse: many at a time, never more than a moment late."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

from sqlbuild.domain.results import NodeResult
from sqlbuild.errors import EngineError, WarehouseError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.state_store import StateStore

BATCH_SECONDS = 0.1
"""How old a batch gets, unless writing is slow."""
MOST_BATCH_SECONDS = 0.5
SHARE_OF_WRITING = 0.05
"""Batches get so old that writing them takes at most this share of the time: one of few rows costs nearly as much as one
of many, and the threads of the warehouse take the time from the nodes."""
FULL_ROWS = 1_500
"""So many are written however young they are."""
BATCH_ROWS = 2_000
"""Those that came meanwhile are written with them. Bounds the memory of one insert: 5,000 take 9 MB more."""
MOST_TEXTS = 10_000
"""So many records wait as texts, of half a kilobyte. Where the warehouse is slower than nodes end, further ones are made
again when their turn comes."""
LET_GO_EVERY = 32
"""At so many added while others are written, the thread of the warehouse gets the interpreter if it waits for it. It needs
it a few times an insert, and would else get it only every five milliseconds: results would queue up until the nodes end."""


def batch_seconds(took: float) -> float:
    """How old the next batch gets, if writing one takes `took` seconds."""
    return min(max(BATCH_SECONDS, took / SHARE_OF_WRITING), MOST_BATCH_SECONDS)


class ResultWriter:
    """`encode` makes the record of a result. `failed` is called once with what went wrong; after that records are only
    kept in the journal."""

    def __init__(
        self, store: StateStore, encode: Callable[[NodeResult], str], failed: Callable[[EngineError], None]
    ) -> None:
        self._store = store
        self._encode = encode
        self._failed = failed
        self._records: list[str | NodeResult] = []
        self._taken: list[str | NodeResult] = []
        """What is being written, the last of them first."""
        self._wake = anyio.Event()
        self._full = anyio.Event()
        self._broken = False
        self._writing = anyio.Lock()
        self._batch_seconds = BATCH_SECONDS

    def add(self, record: str, result: NodeResult) -> None:
        """`record` is that of `result`."""
        waiting = len(self._records)
        self._records.append(record if waiting + len(self._taken) < MOST_TEXTS else result)
        waiting += 1
        if waiting == 1:
            self._wake.set()
        elif waiting == FULL_ROWS:
            self._full.set()
        if not waiting % LET_GO_EVERY and self._writing.locked():
            time.sleep(0)

    async def run(self) -> None:
        """Until cancelled; then `flush` writes what is left."""
        while True:
            await self._wake.wait()
            with anyio.move_on_after(self._batch_seconds):
                await self._full.wait()
            # A batch that was begun is finished: cancelling it half-way would only mean writing it again.
            with anyio.CancelScope(shield=True):
                await self.flush()
            await anyio.lowlevel.checkpoint()

    async def flush(self) -> None:
        """When it returns, all that was added before is written, by whomever."""
        async with self._writing:
            # The last of them first, so that each batch is taken off and freed as soon as it is written.
            records, self._records = self._records[::-1], []
            self._wake, self._full = anyio.Event(), anyio.Event()
            if not records or self._broken:
                return
            self._taken = records
            began = anyio.current_time()
            try:
                while records:
                    batch = [
                        each if isinstance(each, str) else self._encode(each)
                        for each in records[: -BATCH_ROWS - 1 : -1]
                    ]
                    del records[-BATCH_ROWS:]
                    await self._store.append_results(batch)
                failpoint("results.stored")
            except WarehouseError as error:
                self._broken = True
                records.clear()
                self._failed(EngineError(f"results could not be written to the warehouse: {error}", help=error.help))
            self._batch_seconds = batch_seconds(anyio.current_time() - began)
