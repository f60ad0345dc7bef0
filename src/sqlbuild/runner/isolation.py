"""The worker processes of a run; what talks with them (`isolated.py`) is loaded when the first node needs one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import anyio

from sqlbuild import runner
from sqlbuild.domain.graph import Graph
from sqlbuild.domain.masking import Masker
from sqlbuild.errors import NodeCancelled, WorkerLost
from sqlbuild.interfaces.process_executor import ProcessExecutor
from sqlbuild.runner.attempts import Attempt
from sqlbuild.runner.loop_bridge import LoopBridge
from sqlbuild.runner.outcomes import Cancelled, Outcome, Raised

CLOSE_SECONDS = 5.0
"""For idle workers to close what their nodes share and to end, when a run is over."""
_LOOK_SECONDS = 0.005


class Isolation:
    """The worker processes of one run, made when the first node needs one. `helpers` are threads for each `ctx.map`."""

    def __init__(
        self,
        make: Callable[[], ProcessExecutor] | None,
        bridge: LoopBridge,
        graph: Graph,
        warn: Callable[[str], None],
        *,
        max_bytes: int,
        helpers: int,
        masker: Masker | None = None,
    ) -> None:
        self._masker = masker
        self._make = make
        self._warn = warn
        self._making = threading.Lock()
        self._processes: ProcessExecutor | None = None
        self._stopped = False
        self._bridge = bridge
        self._graph = graph
        self._max_bytes = max_bytes
        self._helpers = helpers

    def run(self, attempt: Attempt) -> Outcome:
        """On a worker thread: have a worker process call a `def` node. Never raises."""
        conversation = runner.isolated.AttemptElsewhere(
            attempt,
            self._bridge,
            self._graph,
            self._warn,
            max_bytes=self._max_bytes,
            helpers=self._helpers,
            masker=self._masker,
        )
        try:
            processes = self._made()
            if processes is None:
                return Cancelled(NodeCancelled())
            ending = processes.run(conversation)
        except OSError as error:
            return Raised(WorkerLost(f"no worker process can be started: {error}"))
        finally:
            conversation.closing()
            conversation.finish_output()
        return conversation.outcome_of(ending)

    def _made(self) -> ProcessExecutor | None:
        with self._making:
            if self._processes is None and not self._stopped:
                if self._make is None:
                    raise OSError("this run has none")
                self._processes = self._make()
            return self._processes

    def stop(self) -> None:
        """What runs in worker processes is killed, and what comes later is cancelled."""
        with self._making:
            self._stopped = True
        if self._processes is not None:
            self._processes.stop()

    def kill(self) -> None:
        """At once and from anywhere: the process is about to end."""
        if self._processes is not None:
            self._processes.kill()

    async def end(self) -> None:
        """When it returns no worker is left; one that does not end by itself is killed."""
        processes = self._processes
        if processes is None:
            return
        processes.close()
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(CLOSE_SECONDS):
                # Other processes have no event to wait for.
                while processes.alive:  # noqa: ASYNC110
                    await anyio.sleep(_LOOK_SECONDS)
            processes.kill()
        for message in processes.last_words():
            match message:
                case ("tell", "warn", (text,)):
                    self._warn(text)
