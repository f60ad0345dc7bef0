"""A session of its own that holds one advisory lock of a PostgreSQL server, or looks who does.

The lock belongs to an open transaction, which a pooler such as PgBouncer leaves on one server connection; the server ends it
when the connection, and so the process, is gone. The connection lives on an event loop in a daemon thread: who asks may be
on any thread, and a run that keeps its own loop busy loses nothing. asyncpg is used on asyncio here, as everywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from sqlbuild.domain.record import record
from sqlbuild.drivers.postgres_errors import translated_opening
from sqlbuild.drivers.postgres_opening import ServerAddress, connected
from sqlbuild.errors import WarehouseUnreachable

T = TypeVar("T")

ANSWER_SECONDS = 10.0
"""A server that does not answer a lock statement for so long counts as gone."""
CLOSE_SECONDS = 2.0
RETAKE_SECONDS = 0.5

_QUOTES = "$sqlbuild$"

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
_TRY = "SELECT pg_try_advisory_xact_lock($1), pg_backend_pid()"
# The transaction may last as long as the run; a holder whose machine has vanished is found out within two minutes.
_KEEP = """
SELECT set_config(name, CASE name
    WHEN 'tcp_keepalives_idle' THEN '60' WHEN 'tcp_keepalives_interval' THEN '10' WHEN 'tcp_keepalives_count' THEN '5'
    ELSE '0' END, true)
FROM pg_settings
WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout', 'tcp_keepalives_idle',
    'tcp_keepalives_interval', 'tcp_keepalives_count')
"""
_NAME = "SELECT set_config('application_name', $1, true)"
_LOOK = """
SELECT l.pid, a.query, a.application_name
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.classid = $1 AND l.objid = $2
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
LIMIT 1
"""
_END_OTHER = "SELECT pg_terminate_backend($1)"


@record(frozen=True, slots=True, kw_only=True)
class LockHolder:
    """Whose session holds the lock: the server's process, what it has said, and the name that everybody may see.

    What it has said is empty for a role that may not read it.
    """

    session: int
    said: str
    name: str


class LockSession:
    """The lock `key`, a signed number of 64 bits, of the database of a server. Every method may be called on any thread,
    waits for the server, and raises WarehouseUnreachable."""

    def __init__(self, address: ServerAddress, key: int) -> None:
        self._address = address
        self._key = key
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._on_loss: Callable[[bool], None] = lambda _again: None
        # What follows belongs to the thread.
        self._raw: Any = None
        self._is_held = False
        self._session = 0
        self._said = ""
        self._name = ""
        self._retaking: asyncio.Task[None] | None = None
        _of_this_process.add(self)

    @property
    def is_held(self) -> bool:
        """Whether this session holds it, as far as is known at this moment."""
        return self._is_held

    def when_lost(self, function: Callable[[bool], None]) -> None:
        """Call `function`, on the session's thread, when a lock that was held is lost: with True once it is held again,
        with False when somebody else holds it."""
        self._on_loss = function

    def take(self) -> bool:
        """Whether the session holds the lock now; nobody is waited for."""
        return self._call(self._take)

    def say(self, text: str, name: str) -> None:
        """What `holder` tells others of this session: a text for those that may read it, and a name of at most 63
        characters of ASCII for everybody."""
        self._call(self._say, text, name)

    def holder(self) -> LockHolder | None:
        """Who holds it, if it is another session."""
        return self._call(self._look)

    def release(self) -> None:
        """Give back whatever is held and end the session; the next call begins another one."""
        with self._guard:
            loop, self._loop = self._loop, None
            if loop is None:
                return
            asyncio.run_coroutine_threadsafe(self._close(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            assert self._thread is not None
            self._thread.join(CLOSE_SECONDS)

    def let_go_in_child(self) -> None:
        """After a fork, in the child: its copy of the connection must not outlive the parent."""
        raw, self._raw, self._loop, self._is_held = self._raw, None, None, False
        self._guard = threading.Lock()
        socket = raw._transport.get_extra_info("socket") if raw is not None and raw._transport is not None else None
        if socket is not None and socket.fileno() >= 0:
            # Whoever still has the number in the child must not close somebody else's file later.
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, socket.fileno(), inheritable=False)
            os.close(nothing)

    def _call(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        with self._guard:
            if self._loop is None:
                self._loop = asyncio.SelectorEventLoop()
                self._thread = threading.Thread(
                    target=_turn, args=(self._loop,), name="sqlbuild-target-lock", daemon=True
                )
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(function(*args), self._loop).result()

    # What follows runs on the thread.

    async def _take(self) -> bool:
        if not self._is_held:
            self._is_held = await self._try()
        return self._is_held

    async def _try(self) -> bool:
        async with self._answering() as raw:
            await raw.execute(_BEGIN)
            taken, session = await raw.fetchrow(_TRY, self._key)
            if not taken:
                await raw.execute("ROLLBACK")
                return False
            await raw.fetch(_KEEP)
            self._session = session
            await self._write(raw)
        return True

    async def _say(self, text: str, name: str) -> None:
        self._said, self._name = text, name
        if self._is_held and self._retaking is None:
            async with self._answering() as raw:
                await self._write(raw)

    async def _write(self, raw: Any) -> None:
        if self._name:
            await raw.fetch(_NAME, self._name)
        # The last statement of a session is what others see of it. It is a simple one: an extended one would keep its
        # snapshot, and with it the server from cleaning up.
        await raw.execute(f"SELECT {_QUOTES}{self._said}{_QUOTES}")

    async def _look(self) -> LockHolder | None:
        return None if self._is_held else await self._find()

    async def _find(self) -> LockHolder | None:
        """On a connection that holds nothing."""
        async with self._answering() as raw:
            found = await raw.fetchrow(_LOOK, self._key >> 32 & 0xFFFFFFFF, self._key & 0xFFFFFFFF)
        if found is None:
            return None
        session, query, name = found
        _, _, said = (query or "").partition(_QUOTES)
        return LockHolder(session=session, said=said.removesuffix(_QUOTES), name=name or "")

    @contextlib.asynccontextmanager
    async def _answering(self) -> AsyncIterator[Any]:
        """The connection, made if there is none; one that does not answer, or fails, is dropped."""
        if self._raw is None or self._raw.is_closed():
            self._raw = await connected(self._address)
            self._raw.add_termination_listener(self._ended)
        raw = self._raw
        try:
            with translated_opening(self._address.place):
                async with asyncio.timeout(ANSWER_SECONDS):
                    yield raw
        except BaseException:
            if self._raw is raw:
                self._raw = None
            raw.terminate()
            raise

    def _ended(self, raw: Any) -> None:
        """A connection has ended, for whatever reason."""
        if self._is_held and self._retaking is None and self._raw in (raw, None):
            self._raw = None
            self._retaking = asyncio.get_running_loop().create_task(self._retake())

    async def _retake(self) -> None:
        """Hold it again before anybody else does; a server that cannot be reached is waited for."""
        before = self._session
        while self._is_held:
            try:
                if await self._try():
                    self._retaking = None
                    self._on_loss(True)
                    return
                other = await self._find()
                if other is not None and other.session == before and other.said == self._said:
                    # It is ourselves: the server has not heard yet that the connection is gone.
                    async with self._answering() as raw:
                        await raw.fetch(_END_OTHER, before)
                elif other is not None:
                    self._is_held, self._retaking = False, None
                    self._on_loss(False)
                    return
            except WarehouseUnreachable:
                await asyncio.sleep(RETAKE_SECONDS)

    async def _close(self) -> None:
        self._is_held = False
        retaking, self._retaking = self._retaking, None
        if retaking is not None:
            retaking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await retaking
        raw, self._raw = self._raw, None
        if raw is None or raw.is_closed():
            return
        try:
            with translated_opening(self._address.place):
                async with asyncio.timeout(CLOSE_SECONDS):
                    if raw.is_in_transaction():
                        await raw.execute("ROLLBACK")
                    await raw.close()
        except WarehouseUnreachable:
            raw.terminate()


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


# A fork copies the open connections of the whole process, so this belongs to the process too.
_of_this_process: weakref.WeakSet[LockSession] = weakref.WeakSet()


def _let_go_in_child() -> None:
    for session in _of_this_process:
        session.let_go_in_child()


os.register_at_fork(after_in_child=_let_go_in_child)
