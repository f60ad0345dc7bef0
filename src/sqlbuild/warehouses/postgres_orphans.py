"""Whatever a run that is gone has still at work on the server is ended before another one writes to its target.

A server notices late that the process at the other end of a connection was killed: its statement goes on, holds locks, and
may even take effect. So sessions that write to a target share an advisory lock. Whoever has the target alone and finds
others with a share of it knows that they are orphans.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import anyio

from sqlbuild.errors import TargetLocked, WarehouseError
from sqlbuild.interfaces.warehouse import Connection, Extent
from sqlbuild.warehouses.postgres_lock_waits import SESSION_COLUMNS, described_session

PATIENCE_SECONDS = 1.0
"""Until somebody is told that it is waited."""
_LOOK_SECONDS = 0.02

_SHARERS = f"""
SELECT {SESSION_COLUMNS}
FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = $1 AND l.objid = $2
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.pid <> pg_backend_pid()
ORDER BY a.pid
"""
_END = "SELECT pg_terminate_backend($1)"


async def end_orphans(connect: Callable[[], Connection], share: int) -> None:
    """For whoever has a target alone and has one session that shares the lock `share`: end all others that do.

    Raises TargetLocked while there are some: they may be another role's, whom only the server ends.
    """
    connection = connect()
    try:
        ended: set[int] = set()
        give_up_at = anyio.current_time() + PATIENCE_SECONDS
        while found := await _sharers(connection, share):
            for pid, *_ in found:
                if pid not in ended:
                    ended.add(pid)
                    with contextlib.suppress(WarehouseError):
                        await connection.query(_END, [pid], extent=Extent.FIRST)
            if anyio.current_time() > give_up_at:
                raise _held(found)
            await anyio.sleep(_LOOK_SECONDS)
    finally:
        await connection.close()


async def _sharers(connection: Connection, share: int) -> list[tuple[Any, ...]]:
    key = [share >> 32 & 0xFFFFFFFF, share & 0xFFFFFFFF]
    return await (await connection.query(_SHARERS, key, extent=Extent.WHOLE)).fetch()


def _held(found: list[tuple[Any, ...]]) -> TargetLocked:
    sessions = "; ".join(described_session(*row) for row in found)
    return TargetLocked(
        f"statements of a run that is gone still go on in the target: {sessions}",
        help=f"the server ends them when it notices; at once does SELECT pg_terminate_backend({found[0][0]}), as their role",
    )
