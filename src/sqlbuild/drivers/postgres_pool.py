"""Connections to one server that wait for their next use. Everything here runs on the home loop of asyncpg."""

from __future__ import annotations

import asyncio
import contextlib
import select
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import asyncpg
import asyncpg.transaction

from sqlbuild.errors import SqlbuildError

RESET_SECONDS = 5.0
"""A connection that does not answer for so long when it is given back is dropped."""
INSISTING_SECONDS = 0.1
_FAILED = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)

# A request to cancel that comes before the statement has begun is lost, and asyncpg sends only one.
_CANCEL_AGAIN = """
SELECT pg_cancel_backend(pid) FROM pg_stat_activity
WHERE pid = $1 AND state = 'active' AND clock_timestamp() - query_start > interval '50 milliseconds'
    AND usename = current_user AND datname = current_database()
    AND application_name = current_setting('application_name')
"""
_HAS_PREPARED = "SELECT EXISTS (SELECT FROM pg_prepared_statements WHERE from_sql)"
_NOTHING = contextlib.nullcontext()
_TURNS_TO_HEAR = 10
"""Of the event loop, until it has read all that the server has sent to somebody who did not ask."""


class ServerConnection(asyncpg.Connection):  # type: ignore[misc]
    """What a node may have set or made in its session is gone when the connection is given back."""

    cancel_again: Callable[[int], Awaitable[None]] | None = None
    """Given the number of its server process."""
    reads_only: bool = False
    """Every transaction of it, where the session cannot be told so: a pooler would forget it."""
    set_up: str = ""
    """Statements that make a session of the server what it is to be, whenever it was reset."""
    is_changed: bool = False
    """Whether a node has given it what a reset leaves: then nobody else gets it."""
    is_as_new: bool = True
    """Whether nothing was done with it, since it was opened or reset, that can have left anything in its session."""
    may_have_prepared: bool = False
    """Whether somebody may have said PREPARE to it, which a reset leaves as well."""

    async def set_type_codec(self, *args: Any, **options: Any) -> None:
        self.is_changed = True
        await super().set_type_codec(*args, **options)

    async def set_builtin_type_codec(self, *args: Any, **options: Any) -> None:
        self.is_changed = True
        await super().set_builtin_type_codec(*args, **options)

    def add_query_logger(self, callback: Any) -> None:
        self.is_changed = True
        super().add_query_logger(callback)

    def add_termination_listener(self, callback: Any) -> None:
        self.is_changed = True
        super().add_termination_listener(callback)

    def get_reset_query(self) -> str:
        query: str = super().get_reset_query()
        return f"{query}\nSET SESSION AUTHORIZATION DEFAULT;\nDISCARD TEMP;\n{self.set_up}" if query else ""

    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False, deferrable: bool = False
    ) -> BoundedTransaction:
        return BoundedTransaction(self, isolation, readonly or self.reads_only, deferrable)

    async def is_open(self) -> bool:
        """Whether the server has not ended it, also if the event loop has not come to hear of that yet."""
        for _ in range(_TURNS_TO_HEAR):
            if self.is_closed():
                return False
            if not _has_something_to_say(self._transport.get_extra_info("socket")):
                return True
            await asyncio.sleep(0)
        return False

    @contextlib.asynccontextmanager
    async def insisting(self) -> AsyncIterator[None]:
        """Around what waits, perhaps, for the end of a cancelled statement: the server is told until it has ended."""
        task = asyncio.get_running_loop().create_task(self._insist())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError), anyio.CancelScope(shield=True):
                await task

    async def _insist(self) -> None:
        while self.cancel_again is not None:
            await asyncio.sleep(INSISTING_SECONDS)
            with contextlib.suppress(SqlbuildError, *_FAILED):
                await self.cancel_again(self.get_server_pid())


def _has_something_to_say(socket: Any) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


class BoundedTransaction(asyncpg.transaction.Transaction):  # type: ignore[misc]
    """Ends as it should where its task is cancelled, too: a commit that was sent is waited for, a rollback is tried."""

    async def __aexit__(self, *error: object) -> None:
        if error[0] is None:
            try:
                # Nothing of a cancelled one happens, even if the cancellation comes behind its last statement.
                await anyio.lowlevel.checkpoint_if_cancelled()
            except BaseException as cancelled:
                await self._roll_back(type(cancelled), cancelled, cancelled.__traceback__)
                raise
            with anyio.CancelScope(shield=True):
                await super().__aexit__(*error)
        else:
            await self._roll_back(*error)

    async def _roll_back(self, *error: Any) -> None:
        raw = self._connection
        with anyio.move_on_after(RESET_SECONDS, shield=True) as waited:
            async with raw.insisting():
                try:
                    await super().__aexit__(*error)
                except _FAILED:
                    # The server has rolled back; the first error tells more.
                    raw.terminate()
        if waited.cancelled_caught:
            raw.terminate()


class ConnectionPool:
    """How many are in use at once is decided by who takes them. `connect` makes a new one.

    With `own_processes` the server's process of a connection is its own as long as it is open.
    """

    def __init__(self, connect: Callable[[], Awaitable[Any]], *, own_processes: bool) -> None:
        self._connect = connect
        self._own_processes = own_processes
        self._idle: list[Any] = []
        self._taken: set[Any] = set()

    async def take(self) -> Any:
        """One that is open and in no transaction."""
        while (raw := self.take_idle()) is not None and not await raw.is_open():
            self._taken.discard(raw)
            raw.terminate()
        if raw is None:
            raw = await self._connect()
            if self._own_processes:
                raw.cancel_again = self._cancel
            self._taken.add(raw)
        return raw

    def take_idle(self) -> Any:
        """One that waits, or None."""
        while self._idle:
            raw = self._idle.pop()
            if not raw.is_closed():
                self._taken.add(raw)
                return raw
        return None

    async def give_back(self, raw: Any) -> None:
        """Returns when the server has ended whatever it was told to cancel; never raises."""
        with anyio.CancelScope(shield=True):
            await self.take_back(raw)

    def put_back(self, raw: Any) -> None:
        """What `give_back` does, for one that is in no transaction and as new."""
        if raw in self._taken:
            self._taken.discard(raw)
            self._idle.append(raw)

    async def take_back(self, raw: Any, *, quiet: bool = False) -> None:
        """What `give_back` does, by a task that nobody can cancel now. `quiet`: the server was told to cancel nothing."""
        if raw not in self._taken:
            return
        try:
            async with _NOTHING if quiet else raw.insisting():
                await raw.reset(timeout=RESET_SECONDS)
            if raw.may_have_prepared and self._own_processes:
                # DEALLOCATE ALL would take from asyncpg what it has prepared itself.
                raw.is_changed |= await raw.fetchval(_HAS_PREPARED, timeout=RESET_SECONDS)
            raw.is_as_new, raw.may_have_prepared = True, False
            if raw.is_changed:
                await raw.close(timeout=RESET_SECONDS)
        except _FAILED:
            raw.terminate()
        finally:
            self._taken.discard(raw)
        if not raw.is_closed():
            self._idle.append(raw)

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            for raw in (*self._idle, *self._taken):
                with contextlib.suppress(*_FAILED):
                    await raw.close(timeout=RESET_SECONDS)
        self._idle.clear()
        self._taken.clear()

    async def _cancel(self, process: int) -> None:
        raw = self.take_idle() or await self._connect()
        try:
            await raw.execute(_CANCEL_AGAIN, process)
        finally:
            self._taken.discard(raw)
            with anyio.CancelScope(shield=True):
                await raw.close(timeout=RESET_SECONDS)
