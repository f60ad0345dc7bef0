"""Providers of a run: each is set up when a node first needs it, kept in a task of its own, and closed at the end.

One task lives from `setup` to `teardown` (or `__aenter__` to `__aexit__`), so that a provider may hold task groups and
cancel scopes open; nodes that are cancelled leave it alone.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
from anyio.abc import TaskGroup

from sqlbuild.domain.events import Event, RunWarning
from sqlbuild.domain.plans import Plan
from sqlbuild.errors import ProviderError
from sqlbuild.interfaces.clock import Clock
from sqlbuild.interfaces.executor import Executor
from sqlbuild.interfaces.providers import ProviderContext, ProviderSet
from sqlbuild.runner.error_facts import describe_error
from sqlbuild.runner.run_order import RunOrder, RunServices

CLOSE_SECONDS = 2.0
"""What a provider has to close after the grace time is over."""


class _Living:
    """One provider from its first use on. The events are set whatever happens to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.set_up = anyio.Event()
        self.close = anyio.Event()
        self.closed = anyio.Event()
        self.scope = anyio.CancelScope(shield=True)
        self.value: Any = None
        self.error: BaseException | None = None
        self.is_open = False


class Providing:
    """Belongs to the event loop's thread, but for `ready`."""

    def __init__(
        self,
        providers: ProviderSet,
        context: ProviderContext,
        make_executor: Callable[[int], Executor],
        *,
        root: str,
        clock: Clock,
        publish: Callable[[Event], None],
    ) -> None:
        self.names = providers.names
        self._providers = providers
        self._context = context
        self._make_executor = make_executor
        self._root = root
        self._clock = clock
        self._publish = publish
        self._threads: Executor | None = None
        self._tasks: TaskGroup | None = None
        self._living: dict[str, _Living] = {}
        """In the order of first use."""

    def open(self, tasks: TaskGroup) -> None:
        """From now on providers can be set up; they live in `tasks`, which must outlast the nodes."""
        self._tasks = tasks

    async def get(self, name: str) -> Any:
        """The provider, set up by the first that asks while the others wait. Raises ProviderError."""
        living = self._living.get(name)
        if living is None:
            if self._tasks is None:
                raise ProviderError(f"the provider {name} is not available any more: the run has ended")
            self._check(name)
            living = self._living[name] = _Living(name)
            self._tasks.start_soon(self._live, living)
        await living.set_up.wait()
        return self._value_of(living)

    def ready(self, name: str) -> tuple[Any, ...]:
        """The provider in a tuple if it was set up before, else an empty one. Raises ProviderError. On any thread."""
        living = self._living.get(name)
        if living is None or not living.set_up.is_set():
            self._check(name)
            return ()
        return (self._value_of(living),)

    async def close(self, grace_is_over: anyio.Event) -> None:
        """Close all that is open, the last one first. After `grace_is_over` each gets a moment, then it is cancelled."""
        self._tasks = None
        for living in reversed(self._living.values()):
            living.close.set()
            if not living.set_up.is_set():
                living.scope.cancel()
            async with anyio.create_task_group() as bounds:
                bounds.start_soon(self._cancel_later, living, grace_is_over)
                await living.closed.wait()
                bounds.cancel_scope.cancel()
        if self._threads is not None:
            self._threads.close()

    async def _cancel_later(self, living: _Living, grace_is_over: anyio.Event) -> None:
        await grace_is_over.wait()
        await self._clock.sleep_until(self._clock.monotonic() + CLOSE_SECONDS)
        self._warn(f"the provider {living.name} did not close in time")
        living.scope.cancel()

    def _check(self, name: str) -> None:
        if name not in self.names:
            known = ", ".join(self.names) or "none"
            raise ProviderError(
                f"there is no provider `{name}`", help=f"a class in providers/ gives one; there are: {known}"
            )

    def _value_of(self, living: _Living) -> Any:
        if living.error is not None:
            said = describe_error(living.error, self._root)
            what = "stopped working" if living.is_open else "could not be set up"
            raise ProviderError(f"the provider {living.name} {what}: {said.type}: {said.message}") from living.error
        return living.value

    async def _live(self, living: _Living) -> None:
        try:
            with living.scope:
                async with self._life_of(self._providers.make(living.name)) as living.value:
                    living.is_open = True
                    living.set_up.set()
                    await living.close.wait()
        except BaseException as error:  # noqa: BLE001 - it concerns the nodes that use the provider, told to each
            living.error = error
            if living.is_open:
                said = describe_error(error, self._root)
                how = "could not be closed" if living.close.is_set() else "stopped working"
                self._warn(f"the provider {living.name} {how}: {said.type}: {said.message} ({said.path}:{said.line})")
        finally:
            if not living.is_open and living.error is None:
                living.error = ProviderError("the run was stopped before it was set up")
            living.set_up.set()
            living.closed.set()

    @contextlib.asynccontextmanager
    async def _life_of(self, provider: Any) -> AsyncIterator[Any]:
        if hasattr(type(provider), "__aenter__"):
            async with provider as given:
                yield provider if given is None else given
            return
        await self._call(provider.setup, self._context)
        try:
            yield provider
        finally:
            await self._call(provider.teardown)

    async def _call(self, function: Callable[..., object], *args: object) -> None:
        """Await an `async def`; run a `def` on a thread, since it may block."""
        if inspect.iscoroutinefunction(function):
            await function(*args)
            return
        if self._threads is None:
            self._threads = self._make_executor(max(1, len(self.names)))
        ended = anyio.Event()
        result: list[tuple[object, BaseException | None]] = []

        def done(value: object) -> None:
            result.append(value)  # type: ignore[arg-type]
            ended.set()

        self._threads.submit(functools.partial(_outcome_of, function, *args), done)
        await ended.wait()
        value, error = result[0]
        if error is not None:
            raise error
        if inspect.isawaitable(value):
            await value

    def _warn(self, message: str) -> None:
        self._publish(RunWarning(self._clock.now(), message))


def make_providing(
    plan: Plan,
    order: RunOrder,
    services: RunServices,
    call_soon: Callable[[Callable[[], None]], None],
) -> Providing | None:
    """None for a project without providers."""
    if services.providers is None:
        return None
    return Providing(
        services.providers,
        ProviderContext(run_id=order.run_id, target=plan.target, vars=order.vars),
        lambda size: services.make_executor(size, call_soon),
        root=order.root,
        clock=services.clock,
        publish=services.publish,
    )


def provided_by(providing: Providing | None, name: str) -> Providing:
    """Raises ProviderError in a project without providers."""
    if providing is None:
        raise ProviderError(
            f"there is no provider `{name}`: this project has none", help="a class in providers/ gives one"
        )
    return providing


def not_set_up(name: str, node: str) -> ProviderError:
    return ProviderError(
        f"the provider {name} is not set up, and ctx.providers does not wait in an `async def`",
        help=f"let the node name it: `async def {node}(ctx, {name})`, or write ctx.providers.{name} in its own code",
    )


def _outcome_of(function: Callable[..., object], *args: object) -> tuple[object, BaseException | None]:
    """On a thread: what a function returned and raised."""
    try:
        return function(*args), None
    except BaseException as error:  # noqa: BLE001 - handed over to the event loop
        return None, error
