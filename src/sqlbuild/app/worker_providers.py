"""Providers in a worker process: one instance each, kept on an event loop of its own until the process ends."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import anyio

from sqlbuild.app.event_loop import SystemClock
from sqlbuild.app.wiring import make_providers
from sqlbuild.domain.events import Event, RunWarning
from sqlbuild.domain.providers import ProviderDeclaration
from sqlbuild.executors.local import ThreadLane
from sqlbuild.interfaces.node_session import NodeFacts
from sqlbuild.interfaces.providers import ProviderContext, ProviderSet
from sqlbuild.runner.loop_bridge import LoopBridge
from sqlbuild.runner.providing import Providing, provided_by

CLOSE_SECONDS = 3.0
"""What they have to close, all together, when the run has ended."""


class WorkerProviders:
    """`find` tells what the project declares; it is called when a node asks for a provider for the first time.

    Async ones live on an event loop of `backend`, as the run's does; `warn` is told what goes wrong later, `hide` their
    secrets.
    """

    def __init__(
        self,
        find: Callable[[], Sequence[ProviderDeclaration]],
        root: str,
        backend: str,
        warn: Callable[[str], None],
        hide: Callable[[Iterable[str]], None],
    ) -> None:
        self._find = find
        self._hide = hide
        self._root = root
        self._backend = backend
        self._warn = warn
        self._loop: _Loop | None = None

    def get(self, name: str, facts: NodeFacts) -> Any:
        """The provider, set up once in this process. Raises ProviderError."""
        if self._loop is None:
            providers = make_providers(self._find(), (), self._hide)
            if providers is None:
                return provided_by(None, name)
            context = ProviderContext(run_id=facts.run_id, target=facts.target, vars=facts.vars)
            self._loop = _Loop(providers, context, self._root, self._backend, self._warn)
        return self._loop.get(name)

    def close(self) -> None:
        if self._loop is not None:
            self._loop.close()


class _Loop:
    def __init__(
        self, providers: ProviderSet, context: ProviderContext, root: str, backend: str, warn: Callable[[str], None]
    ) -> None:
        self._providers = providers
        self._context = context
        self._root = root
        self._warn = warn
        self._started: queue.SimpleQueue[tuple[LoopBridge, Providing, anyio.Event]] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=anyio.run, args=(self._run,), kwargs={"backend": backend}, name="sqlbuild-providers", daemon=True
        )
        self._thread.start()
        self._bridge, self._providing, self._ended = self._started.get()

    def get(self, name: str) -> Any:
        ready = self._providing.ready(name)
        return ready[0] if ready else self._bridge.wait(self._providing.get, name)

    def close(self) -> None:
        self._bridge.call_soon(self._ended.set)
        self._thread.join(CLOSE_SECONDS)

    async def _run(self) -> None:
        bridge = LoopBridge()
        providing = Providing(
            self._providers,
            self._context,
            lambda size: ThreadLane(size, bridge.call_soon),
            root=self._root,
            clock=SystemClock(),
            publish=self._publish,
        )
        ended, never = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as background:
            background.start_soon(bridge.run)
            async with anyio.create_task_group() as asked:
                bridge.open(asked)
                providing.open(background)
                self._started.put((bridge, providing, ended))
                await ended.wait()
                bridge.close()
                asked.cancel_scope.cancel()
            await providing.close(never)
            background.cancel_scope.cancel()

    def _publish(self, event: Event) -> None:
        if isinstance(event, RunWarning):
            self._warn(event.message)
