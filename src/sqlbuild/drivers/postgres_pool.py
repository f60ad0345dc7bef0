"""Connections to one server that wait for their next use. Everything here runs on the home loop of asyncpg."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import asyncpg

RESET_SECONDS = 5.0
"""A connection that does not answer for so long when it is given back is dropped."""


class ServerConnection(asyncpg.Connection):  # type: ignore[misc]
    """What a node may have set or made in its session is gone when the connection is given back."""

    def get_reset_query(self) -> str:
        query: str = super().get_reset_query()
        return f"{query}\nSET SESSION AUTHORIZATION DEFAULT;\nDISCARD TEMP;" if query else ""


class ConnectionPool:
    """How many are in use at once is decided by who takes them. `connect` makes a new one."""

    def __init__(self, connect: Callable[[], Awaitable[Any]]) -> None:
        self._connect = connect
        self._idle: list[Any] = []
        self._taken: set[Any] = set()

    async def take(self) -> Any:
        """One that is open and in no transaction."""
        raw = self.take_idle()
        if raw is None:
            raw = await self._connect()
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
        if raw not in self._taken:
            return
        try:
            with anyio.CancelScope(shield=True):
                await raw.reset(timeout=RESET_SECONDS)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
            raw.terminate()
        finally:
            self._taken.discard(raw)
        if not raw.is_closed():
            self._idle.append(raw)

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            for raw in (*self._idle, *self._taken):
                with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await raw.close(timeout=RESET_SECONDS)
        self._idle.clear()
        self._taken.clear()
