"""The way into a target, for whoever writes or reads its warehouse, and out again.

First comes the lock of sqlbuild's own, then that of the warehouse, which any other program may hold; both are waited for
in the same way and within one limit. A reader takes no lock: it only waits until no writer has one.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread

from sqlbuild.domain.events import Event, RunWarning, WaitingForTarget
from sqlbuild.errors import TargetLocked
from sqlbuild.interfaces.target_lock import TargetLock
from sqlbuild.interfaces.warehouse import Warehouse

RETRY_SECONDS = 0.1
REMIND_SECONDS = 10.0


def _nobody(_event: Event) -> None:
    """Told to nobody."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
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

    async def lock_for_writing(self) -> None:
        """From here on nobody else writes. Raises TargetLocked, and WarehouseUnreachable if no lock can be made."""
        lock = self._lock
        if lock is None:
            return

        async def take() -> TargetLocked | None:
            return None if await anyio.to_thread.run_sync(lock.take) else _held(lock, self._target)

        await self._until(take)
        lock.tell(command=self._command, target=self._target)
        if lock.warning is not None:
            self._publish(RunWarning(_now(), lock.warning))

    async def wait_for_writers(self) -> None:
        """Return when nobody writes; nothing is taken and nothing is made. Raises TargetLocked."""
        lock = self._lock
        if lock is None:
            return

        async def look() -> TargetLocked | None:
            return _held(lock, self._target) if await anyio.to_thread.run_sync(lock.is_held) else None

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

    def tell_run(self, run_id: str) -> None:
        """Those that wait are told which run they wait for."""
        if self._lock is not None:
            self._lock.tell(command=self._command, target=self._target, run_id=run_id)

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
        return TargetLocked(
            f"target {target} is held by another process", help=f"find it with `fuser {lock.place}`, and wait for it"
        )
    facts = [f"pid {holder.pid} on {holder.host}", *([holder.command] if holder.run_id else [])]
    if holder.target != target:
        facts.append(f"on target {holder.target} of the same database")
    message = f"target {target} is held by {holder} ({', '.join(facts)}, since {_time_text(holder.since)})"
    if lock.is_running_here(holder):
        look = f"look at it with `ps -fp {holder.pid}`; wait longer with --lock-timeout SECONDS"
        return TargetLocked(message, help=f"{look}, or stop it with `kill {holder.pid}`")
    return TargetLocked(
        message, help=f"its process is on {holder.host}: look there, or wait longer with --lock-timeout SECONDS"
    )


def _time_text(at: float) -> str:
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    today = datetime.datetime.now(datetime.UTC).date()
    return moment.strftime("%H:%M:%S UTC" if moment.date() == today else "%Y-%m-%d %H:%M:%S UTC")


def _now() -> float:
    return datetime.datetime.now(datetime.UTC).timestamp()
