"""Waiting for locks that others hold, and for others who build the same: within a limit, with a word on who they are."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import anyio

from sqlbuild.domain.ids import Relation
from sqlbuild.drivers.postgres_errors import translated
from sqlbuild.errors import WarehouseError, WarehouseUnreachable
from sqlbuild.interfaces.warehouse import Connection, Extent

T = TypeVar("T")

LOOK_SECONDS = 0.5
"""Between two looks at who holds what is waited for."""
TELL_SECONDS = 2.0
REMIND_SECONDS = 30.0

_LOCK_NOT_AVAILABLE = "55P03"
SESSION_COLUMNS = """
    a.pid, coalesce(a.application_name, '') AS application, coalesce(a.usename, '') AS role,
    coalesce(a.state, '') AS state, to_char(a.query_start AT TIME ZONE 'UTC', 'HH24:MI:SS') AS since,
    left(regexp_replace(coalesce(a.query, ''), '\\s+', ' ', 'g'), 60) AS query
"""
"""Of `pg_stat_activity AS a`, for `described_session`."""

_BEGIN = """
SELECT current_setting('search_path') AS path, set_config('search_path', '', true),
    set_config('lock_timeout', $1, true), pg_backend_pid() AS pid
"""
_TRY = "SELECT pg_try_advisory_xact_lock($1)"
_TAKE = "SELECT pg_advisory_xact_lock($1)"
_KEPT_OF_A_TYPE = 62
"""Bytes of a relation's name that are in the name of the type of its arrays, behind a `_`."""
_WAIT = """
SELECT current_setting('lock_timeout') AS before, set_config('lock_timeout', $1, true), pg_backend_pid() AS pid
"""
_HOLDERS = f"""
SELECT {SESSION_COLUMNS}
FROM unnest(pg_blocking_pids($1)) AS blocking(pid) JOIN pg_stat_activity AS a ON a.pid = blocking.pid
ORDER BY a.pid
"""


class LockWait:
    """One transaction's waiting for the locks that it needs to replace or fill `relation`."""

    def __init__(self, relation: Relation, seconds: float) -> None:
        self.relation = relation
        self.seconds = seconds
        self.pid = 0
        """Of the server's process that may be waiting now; 0 if it surely is not."""
        self.search_path = ""
        """Before `begin`."""
        self.holders: tuple[str, ...] = ()
        """Those seen last, in words."""
        self.first_pid = 0
        self.for_what = ""

    async def alone(self, raw: Any) -> None:
        """In a transaction that holds no lock yet: nobody else replaces or fills the relation until its end.

        Targets are kept apart by their schemas, and a model may say one of its own. Raises WarehouseError, which says
        who is at work on it.
        """
        key = key_of_relation(self.relation)
        if await raw.fetchval(_TRY, key):
            return
        self.for_what = f"until another build of {self.relation} has ended"
        found = await raw.fetchrow(_WAIT, self._timeout)
        self.pid = found["pid"]
        try:
            with translated():
                await raw.execute(_TAKE, key)
        except WarehouseError as error:
            if sqlstate_of(error) != _LOCK_NOT_AVAILABLE:
                raise
            raise self._built_by_others() from error
        finally:
            self.pid = 0
        await raw.execute("SELECT set_config('lock_timeout', $1, true)", found["before"])

    @contextlib.asynccontextmanager
    async def within(self, raw: Any) -> AsyncIterator[None]:
        """In a transaction: from here to its end nothing waits longer for a lock, and names have to be qualified.

        Raises WarehouseError, which says who holds a lock that was not to be had.
        """
        self.for_what = f"for a lock to replace {self.relation}"
        found = await raw.fetchrow(_BEGIN, self._timeout)
        self.search_path = found["path"]
        self.pid = found["pid"]
        try:
            with translated():
                await self.name_types(raw)
                yield
        except WarehouseError as error:
            if sqlstate_of(error) != _LOCK_NOT_AVAILABLE:
                raise
            raise self._timed_out() from error
        finally:
            self.pid = 0

    async def name_types(self, raw: Any) -> None:
        """In a transaction: until its end no other build makes a relation whose types could be called like this one's.

        The server gives the second of two types another name, but not while it cannot see the first one yet.
        """
        await raw.execute(_TAKE, key_of_types(self.relation))

    @property
    def _timeout(self) -> str:
        return f"{max(1, round(self.seconds * 1000))}ms"

    @property
    def holders_text(self) -> str:
        return "; ".join(self.holders)

    def note(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Who holds it now; while nobody does, those before are remembered."""
        if rows:
            self.holders = tuple(described_session(*row) for row in rows)
            self.first_pid = rows[0][0]

    def _timed_out(self) -> WarehouseError:
        held = self.holders_text or "by whom is not known"
        end = f"end it with SELECT pg_terminate_backend({self.first_pid}), or " if self.first_pid else ""
        return WarehouseError(
            f"{self.relation} cannot be replaced: others held a lock that this needs for {self.seconds:g} s: {held}",
            help=f"what was there before is as it was; {end}set a higher lock_timeout for the connection",
            transient=True,
        )

    def _built_by_others(self) -> WarehouseError:
        held = self.holders_text or "by whom is not known"
        return WarehouseError(
            f"{self.relation} is built by another run, which has not ended within {self.seconds:g} s: {held}",
            help="what was there before is as it was; wait for that run and use `sqb retry`; a model with a schema of "
            "its own is best built by one target only",
            transient=True,
        )


def key_of_relation(relation: Relation) -> int:
    """Of an advisory lock; the same for every sqlbuild."""
    return _key(f"sqlbuild relation {relation.schema}.{relation.name}")


def key_of_types(relation: Relation) -> int:
    """Of an advisory lock: the same for `orders` and `_orders`, and for names that differ behind the 62nd byte."""
    kept = relation.name.lstrip("_").encode()[:_KEPT_OF_A_TYPE].decode(errors="ignore")
    return _key(f"sqlbuild types {relation.schema}.{kept}")


def _key(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


async def watched(
    wait: LockWait, connect: Callable[[], Connection], tell: Callable[[str], None], work: Callable[[], Awaitable[T]]
) -> T:
    """Await `work()`; while it waits for locks, note who holds them and tell of it. Awaited on the run's loop."""
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_watch, wait, connect, tell)
            value = await work()
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # The watcher raises nothing: there is one exception, the work's own.
        raised = group.exceptions[0]
    else:
        return value
    raise raised


async def _watch(wait: LockWait, connect: Callable[[], Connection], tell: Callable[[str], None]) -> None:
    connection: Connection | None = None
    began: float | None = None
    tell_after = TELL_SECONDS
    try:
        while True:
            await anyio.sleep(min(LOOK_SECONDS, wait.seconds / 3))
            if not wait.pid:
                began = None
                continue
            connection = connection or connect()
            with contextlib.suppress(WarehouseError, WarehouseUnreachable):
                found = await connection.query(_HOLDERS, [wait.pid], extent=Extent.WHOLE)
                wait.note(await found.fetch())
            now = time.monotonic()
            began = began if began is not None else now
            if wait.pid and wait.holders and now - began >= tell_after:
                tell_after += REMIND_SECONDS
                tell(f"waiting up to {wait.seconds:g} s {wait.for_what}: {wait.holders_text}")
    finally:
        if connection is not None:
            with anyio.CancelScope(shield=True):
                await connection.close()


def sqlstate_of(error: BaseException) -> str:
    """The server's code of what made a WarehouseError; empty if it has none."""
    return str(getattr(error.__cause__, "sqlstate", None) or "")


def described_session(pid: int, application: str, role: str, state: str, since: str | None, query: str) -> str:
    """One row of `SESSION_COLUMNS`, in words."""
    who = ", ".join(part for part in (application, f"role {role}" if role else "", state) if part)
    when = f" since {since} UTC" if since else ""
    return f"pid {pid}{f' ({who}{when})' if who else ''}{f': {query}' if query else ''}"
