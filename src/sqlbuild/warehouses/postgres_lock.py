"""The lock of a target on PostgreSQL: an advisory lock of its database, for each schema another one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import socket
import time
from collections.abc import Callable

from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.run_ids import time_of_run_id
from sqlbuild.domain.settings import Connection
from sqlbuild.drivers.postgres_lock_session import LockHolder, LockSession
from sqlbuild.errors import WarehouseUnreachable
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.target_lock import Holder
from sqlbuild.warehouses.postgres_address import server_address

_LONGEST_NAME = 63
_NAME = pattern(r"(?P<command>[^;]+); (?P<what>[^;]+); (?P<pid>[0-9]+)@(?P<host>.+)")


class PostgresTargetLock:
    """`sqlbuild.interfaces.target_lock.TargetLock` of `schema` in the database of a connection.

    `process_mark` tells a process of this machine from a later one with the same number. A server that does not answer
    within `patience` seconds is given up earlier than the connection's own settings say.
    """

    def __init__(
        self,
        connection: Connection,
        schema: str,
        *,
        process_mark: Callable[[int], str],
        patience: float | None = None,
    ) -> None:
        address = server_address(connection)
        if patience is not None:
            seconds = min(patience, address.arguments.get("timeout", patience))
            address = dataclasses.replace(address, arguments={**address.arguments, "timeout": seconds})
        self._session = LockSession(address, key_of(schema))
        self._process_mark = process_mark
        self._mine: Holder | None = None
        self._seen: LockHolder | None = None

    @property
    def readers_wait(self) -> bool:
        return False

    @property
    def warning(self) -> str | None:
        return None

    def take(self) -> bool:
        taken = self._session.take()
        if taken:
            failpoint("lock.taken")
        return taken

    def tell(self, *, command: str, target: str, run_id: str | None = None) -> None:
        self._mine = Holder(
            pid=os.getpid(),
            host=socket.gethostname(),
            command=command,
            target=target,
            since=time.time(),
            run_id=run_id,
            process_mark=self._process_mark(os.getpid()),
        )
        try:
            self._session.say(json.dumps(dataclasses.asdict(self._mine)), name_of(self._mine))
        except WarehouseUnreachable:
            # It is said again with the lock, once the server is back.
            return

    def release(self) -> None:
        self._session.release()

    def when_lost(self, function: Callable[[bool], None]) -> None:
        self._session.when_lost(function)

    def is_held(self) -> bool:
        if self._session.is_held:
            return True
        self._seen = self._session.holder()
        return self._seen is not None

    def holder(self) -> Holder | None:
        if self._session.is_held:
            return self._mine
        self._seen = self._session.holder()
        return holder_from(self._seen) if self._seen is not None else None

    def is_running_here(self, holder: Holder) -> bool:
        return holder.host == socket.gethostname() and bool(
            holder.process_mark and self._process_mark(holder.pid) == holder.process_mark
        )

    def advice(self, holder: Holder | None) -> str:
        session = self._seen.session if self._seen is not None else None
        look = "`SELECT * FROM pg_stat_activity" + (f" WHERE pid = {session}`" if session is not None else "`")
        if holder is None:
            return f"look at it with {look}, and wait for it"
        return (
            f"its process is on {holder.host}: look there, or with {look}; wait longer with --lock-timeout SECONDS; "
            f"if that machine is gone, `SELECT pg_terminate_backend({session})` frees the target"
        )


def key_of(schema: str) -> int:
    """The same for every sqlbuild. The server keeps the advisory locks of each database apart."""
    return int.from_bytes(hashlib.sha256(f"sqlbuild target {schema}".encode()).digest()[:8], "big", signed=True)


def name_of(holder: Holder) -> str:
    """The short form, which every role of the server may read."""
    what = holder.run_id or f"since {int(holder.since)}"
    name = f"{holder.command}; {what}; {holder.pid}@{holder.host}"
    return name.encode("ascii", "replace").decode()[:_LONGEST_NAME]


def holder_from(found: LockHolder) -> Holder | None:
    """Who holds it in its own words, else as far as its name says it; None if neither does."""
    try:
        return dataclasses.replace(Holder(**json.loads(found.said)), session=found.session)
    except (ValueError, TypeError):
        pass
    match = _NAME.fullmatch(found.name)
    if match is None:
        return None
    since = match["what"].removeprefix("since ")
    run_id = None if since.isdecimal() else match["what"]
    return Holder(
        pid=int(match["pid"]),
        host=match["host"],
        command=match["command"],
        target="",
        since=float(since) if run_id is None else time_of_run_id(run_id),
        run_id=run_id,
        session=found.session,
    )
