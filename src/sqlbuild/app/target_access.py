"""The way into a target, for whoever writes or reads its warehouse, and out again.

First comes the lock of sqlbuild's own, then that of the warehouse, which any other program may hold; both are waited for
in the same way and within one limit. A reader takes no lock: it only waits, where it must, until no writer has one.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
from collections.abc import Awaitable, Callable

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from sqlbuild.domain.events import Event, RunWarning, WaitingForTarget
from sqlbuild.domain.record import record
from sqlbuild.errors import EngineError, TargetLocked
from sqlbuild.interfaces.target_lock import TargetLock
from sqlbuild.interfaces.warehouse import Warehouse

RETRY_SECONDS = 0.1
REMIND_SECONDS = 10.0


def _nobody(_event: Event) -> None:
    """Told to nobody."""


@record(frozen=True, slots=True, kw_only=True)
class Patience:
    """How many seconds a command waits for its target, and who is told meanwhile."""

    seconds: float = 60.0
    publish: Callable[[Event], None] = _nobody


class TargetAccess:
    """One command's use of one target; call `close` whatever happens.

    `lock` is None where nobody else can get at the target.
    """

    def __init__(
        self,
        lock: TargetLock | None,
        *,
        target: str,
        command: str,
        patience: Patience,
    ) -> None:
        self._lock = lock
        self._warehouse: Warehouse | None = None
        self._target = target
        self._command = command
        self._timeout = patience.seconds
        self._publish = patience.publish
        self._began: float | None = None
        self._tell_at = 0.0
        self._token: anyio.lowlevel.EventLoopToken | None = None
        self._gone = anyio.Event()

    async def lock_for_writing(self) -> None:
        """From here on nobody else writes. Raises TargetLocked, and WarehouseUnreachable if no lock can be made."""
        lock = self._lock
        if lock is None:
            return

        def take_it() -> TargetLocked | None:
            return None if lock.take() else _held(lock, self._target)

        async def take() -> TargetLocked | None:
            return await anyio.to_thread.run_sync(take_it)

        self._token = anyio.lowlevel.current_token()
        lock.when_lost(self._lost)
        await self._until(take)
        await self._tell(lock)
        if lock.warning is not None:
            self._publish(RunWarning(_now(), lock.warning))

    async def wait_until_readable(self) -> None:
        """Return when the target can be read: where a writer keeps readers out, when nobody writes. Raises TargetLocked."""
        if self._lock is not None and self._lock.readers_wait:
            await self.wait_for_writers()

    async def wait_for_writers(self) -> None:
        """Return when nobody writes; nothing is taken and nothing is made. Raises TargetLocked."""
        lock = self._lock
        if lock is None:
            return

        def look_at_it() -> TargetLocked | None:
            return _held(lock, self._target) if lock.is_held() else None

        async def look() -> TargetLocked | None:
            return await anyio.to_thread.run_sync(look_at_it)

        await self._until(look)

    async def open(self, warehouse: Warehouse, *, read_only: bool = False) -> None:
        """Open the warehouse, which `close` closes. Raises TargetLocked, WarehouseUnreachable."""
        self._warehouse = warehouse

        async def open_it() -> TargetLocked | None:
            try:
                await warehouse.open(read_only=read_only)
            except TargetLocked as error:
                return error
            return None

        await self._until(open_it)

    async def tell_run(self, run_id: str) -> None:
        """Those that wait are told which run they wait for."""
        if self._lock is not None:
            await self._tell(self._lock, run_id)

    async def lost(self) -> EngineError:
        """Returns when somebody else has got the target though nobody has given it back, with what is to be said."""
        await self._gone.wait()
        assert self._lock is not None
        held = await anyio.to_thread.run_sync(_held, self._lock, self._target)
        return EngineError(
            f"the connection that held target {self._target} was lost, and somebody else was faster: {held.args[0]}",
            help="`sqb retry` goes on with this run once the target is free",
        )

    async def _tell(self, lock: TargetLock, run_id: str | None = None) -> None:
        tell = functools.partial(lock.tell, command=self._command, target=self._target, run_id=run_id)
        await anyio.to_thread.run_sync(tell)

    def _lost(self, again: bool) -> None:
        """On any thread."""
        if again:
            self._publish(
                RunWarning(_now(), f"the connection that held target {self._target} was lost; it is held again")
            )
            return
        assert self._token is not None
        with contextlib.suppress(anyio.RunFinishedError):
            anyio.from_thread.run_sync(self._gone.set, token=self._token)

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            try:
                if self._warehouse is not None:
                    await self._warehouse.close()
            finally:
                if self._lock is not None:
                    await anyio.to_thread.run_sync(self._lock.release)

    async def _until(self, attempt: Callable[[], Awaitable[TargetLocked | None]]) -> None:
        while (held := await attempt()) is not None:
            now = anyio.current_time()
            if self._began is None:
                self._began = self._tell_at = now
            left = self._began + self._timeout - now
            if left <= 0:
                raise held
            if now >= self._tell_at:
                self._tell_at = now + REMIND_SECONDS
                self._publish(WaitingForTarget(_now(), str(held), now - self._began, self._timeout))
            await anyio.sleep(min(RETRY_SECONDS, left))


def _held(lock: TargetLock, target: str) -> TargetLocked:
    """Who holds it and what can be done, as far as the holder says so."""
    holder = lock.holder()
    if holder is None:
        return TargetLocked(f"target {target} is held by another process", help=lock.advice(None))
    facts = [f"pid {holder.pid} on {holder.host}", *([holder.command] if holder.run_id else [])]
    if holder.target not in ("", target):
        facts.append(f"on target {holder.target} of the same database")
    message = f"target {target} is held by {holder} ({', '.join(facts)}, since {_time_text(holder.since)})"
    if lock.is_running_here(holder):
        look = f"look at it with `ps -fp {holder.pid}`; wait longer with --lock-timeout SECONDS"
        return TargetLocked(message, help=f"{look}, or stop it with `kill {holder.pid}`")
    return TargetLocked(message, help=lock.advice(holder))


def _time_text(at: float) -> str:
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    today = datetime.datetime.now(datetime.UTC).date()
    return moment.strftime("%H:%M:%S UTC" if moment.date() == today else "%Y-%m-%d %H:%M:%S UTC")


def _now() -> float:
    return datetime.datetime.now(datetime.UTC).timestamp()
