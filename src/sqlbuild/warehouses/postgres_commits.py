"""Rows of `_sqlbuild_commits`, which stand in the transaction that they tell of; and commits whose answer is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

from sqlbuild.drivers.postgres import PostgresConnection
from sqlbuild.drivers.postgres_errors import LostConnection, translated
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import CommitMarker
from sqlbuild.sql.rendering import quote_relation

T = TypeVar("T")

SETTLE_SECONDS = 30.0
"""For so long a transaction that is still in progress is waited for, after its connection was lost."""
_LOOK_SECONDS = 0.05


class MarkedTransaction:
    """One attempt at a transaction that writes a marker."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._value: Any = None
        self._committed = False

    async def mark(self, raw: Any, commit: CommitMarker, value: Any = None) -> None:
        """Write the marker with the present time, as the last step; `value` is what the transaction gives."""
        statement = (
            f"INSERT INTO {quote_relation(commit.relation)} (run_id, node_id, part, attempt, committed_at) "
            "VALUES ($1, $2, $3, $4, timezone('UTC', clock_timestamp())) RETURNING txid_current()"
        )
        with translated(statement):
            number = await raw.fetchval(statement, commit.run_id, str(commit.node), commit.part, commit.attempt)
        self._number, self._value = number, value

    def committed(self) -> None:
        """The server has said that it is."""
        self._committed = True

    async def finish(self, work: Callable[[], Awaitable[T]]) -> T:
        """`work()`, which a cancellation that comes behind the commit does not undo: the next one that waits hears of it."""
        try:
            return await work()
        except anyio.get_cancelled_exc_class():
            if not self._committed:
                raise
            value: T = self._value
            return value

    async def run(self, connection: PostgresConnection, function: Callable[[Any], Awaitable[T]]) -> T:
        """`connection.run(function)`, which has succeeded if the transaction was committed, also if nobody could be told."""
        try:
            return await connection.run(function)
        except LostConnection:
            with contextlib.suppress(WarehouseError):
                if self._number is not None and await self._was_committed(connection):
                    value: T = self._value
                    return value
            raise

    async def _was_committed(self, connection: PostgresConnection) -> bool:
        give_up_at = anyio.current_time() + SETTLE_SECONDS
        status = "in progress"
        while status == "in progress" and anyio.current_time() < give_up_at:
            status = await connection.run(lambda raw: raw.fetchval("SELECT txid_status($1)", self._number))
            await anyio.sleep(_LOOK_SECONDS)
        return status == "committed"
