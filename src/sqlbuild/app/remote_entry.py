"""What a worker process runs: `python -m sqlbuild.app.remote_entry SOCKET PID`.

It opens the project that it is told about and carries out one order after the other, each one attempt of one node. It
is started only by `sqlbuild.executors.process`; SOCKET is the number of an inherited socket, PID the run's process.
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import dataclasses
import faulthandler
import functools
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlbuild.authoring.pool_blocks import begin_outside_of_blocks
from sqlbuild.authoring.service_waits import asked_wait, wait_to_tell
from sqlbuild.domain.masking import Masker
from sqlbuild.errors import NodeCancelled
from sqlbuild.executors.message_pipe import PipeClosed, WorkerSide, encoded
from sqlbuild.project.find_function import ProjectFunctions
from sqlbuild.runner.carried_errors import carry
from sqlbuild.runner.error_facts import describe_error
from sqlbuild.runner.kinds.user_function import exited, run_function
from sqlbuild.runner.node_output import captured_logging, captured_output
from sqlbuild.runner.outcomes import Cancelled, Outcome, Raised
from sqlbuild.runner.remote_session import RemoteSession, RunLine
from sqlbuild.runner.remote_words import CarriedRaise, RemoteEnding, WasCancelled, WorkerOrder

if TYPE_CHECKING:
    from sqlbuild.app.worker_providers import WorkerProviders

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Until the run closes the pipe."""
    number, run = map(int, arguments)
    _end_with(run)
    os.set_inheritable(number, False)
    faulthandler.enable(file=2, all_threads=False)
    worker = _Worker(WorkerSide(socket.socket(fileno=number)))
    worker.work()
    return 0


def _end_with(run: int) -> None:
    """Let the system end this process when the run's is gone, also while native code keeps it from noticing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != run:
        os._exit(1)


class _Worker:
    """Orders are carried out on the main thread, where signals arrive; another thread listens to the run."""

    def __init__(self, pipe: WorkerSide) -> None:
        self._pipe = pipe
        self._line = RunLine(self._send, self._try_send)
        self._orders: queue.SimpleQueue[WorkerOrder | None] = queue.SimpleQueue()
        self._busy = False
        self._root = ""
        self._functions: ProjectFunctions | None = None
        self._providers: WorkerProviders | None = None
        self._masker = Masker()

    def work(self) -> None:
        _, facts = self._pipe.receive()
        self._open(**facts)
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, self._told_to_stop)
        threading.Thread(target=self._listen, name="sqlbuild-run", daemon=True).start()
        try:
            while (order := self._orders.get()) is not None:
                # What a node leaves in the context is not seen by the next one.
                contextvars.copy_context().run(self._carry_out, order)
            if self._providers is not None:
                self._providers.close()
        except PipeClosed:
            # A node has closed what is not its own.
            os._exit(1)
        except NodeCancelled:
            # Before the node has begun, or while its end is told: the run has decided already.
            os._exit(128 + signal.SIGTERM)

    def _open(self, *, root: str, sys_path: list[str]) -> None:
        sys.path[:] = sys_path
        self._root = root

    def _listen(self) -> None:
        try:
            while True:
                match self._pipe.receive():
                    case ("order", order):
                        self._busy = True
                        self._orders.put(order)
                    case ("answer", number, error, value):
                        self._line.answered(number, error, value)
                    case ("close",):
                        self._orders.put(None)
        except PipeClosed:
            if self._busy:
                # The run is gone. What the node does now nobody wants any more, nor what it has started.
                os.killpg(0, signal.SIGKILL)
            self._orders.put(None)

    def _told_to_stop(self, *_: object) -> None:
        if not self._busy:
            os._exit(128 + signal.SIGTERM)
        raise NodeCancelled

    def _send(self, message: tuple[Any, ...]) -> None:
        self._pipe.send(encoded(message))

    def _try_send(self, message: tuple[Any, ...]) -> bool:
        return self._pipe.try_send(encoded(message))

    # -- one order --------------------------------------------------------------------------------------------------

    def _carry_out(self, order: WorkerOrder) -> None:
        session = RemoteSession(self._line, order, functools.partial(self._provide, order))
        begin_outside_of_blocks()
        self._masker.add(order.secrets)
        # The run masks all it is told; here it must only not be cut in the middle of a secret.
        with captured_output(masker=self._masker), captured_logging():
            ending = self._ending_of(self._run(order, session))
        _flush()
        session.over = True
        self._busy = False
        self._send(("ended", ending))

    def _run(self, order: WorkerOrder, session: RemoteSession) -> Outcome:
        try:
            if self._functions is None:
                self._functions = ProjectFunctions(self._root)
            node = self._functions.find(order.node, order.path)
            if order.settings:
                node = dataclasses.replace(node, **order.settings)
            for name in order.providers:
                # Before the time limit begins: it bounds the author's function.
                session.provider(name)
            self._send(("began",))
            return run_function(node, session, order.max_bytes)
        except BaseException as error:  # noqa: BLE001 - whatever a file does when it is imported ends this order only
            return Cancelled(error) if isinstance(error, NodeCancelled) else Raised(exited(error))

    def _provide(self, order: WorkerOrder, name: str) -> Any:
        if self._providers is None:
            # Only here: a worker that needs none starts without an event loop and what else that takes.
            from sqlbuild.app.worker_providers import WorkerProviders

            assert self._functions is not None
            warn = functools.partial(self._line.tell, "warn")
            self._providers = WorkerProviders(self._functions.providers, self._root, order.backend, warn, self._hide)
        return self._providers.get(name, order.facts)

    def _hide(self, values: Iterable[str]) -> None:
        secrets = tuple(values)
        self._masker.add(secrets)
        if secrets:
            self._line.tell("hide", secrets)

    def _ending_of(self, outcome: Outcome) -> RemoteEnding:
        match outcome:
            case Raised(error):
                carried, facts = carry(error), describe_error(error, self._root)
                asked = asked_wait(error, time.time)
                return CarriedRaise(carried, facts, asked, asked is not None and wait_to_tell(error, time.time) is None)
            case Cancelled():
                return WasCancelled()
            case _:
                return outcome


def _flush() -> None:
    """What the node has written must be in the pipes before its end is told; native code has buffers of its own."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    ctypes.CDLL(None).fflush(None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
