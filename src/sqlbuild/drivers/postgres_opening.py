"""How a server is reached: a new connection of asyncpg to it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import asyncpg

from sqlbuild.domain.record import record
from sqlbuild.drivers.postgres_errors import translated_opening
from sqlbuild.drivers.postgres_pool import ServerConnection

CONNECT_SECONDS = 15.0

_CHECK_INTERVAL = "client_connection_check_interval"
_NOTICE_DEATH = f"SET {_CHECK_INTERVAL} = '1s';"
"""For so long a statement goes on when the process that has sent it is gone."""


@record(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """Where a server is and how to get in. `arguments` are those of `asyncpg.connect`; `dsn_options` can only stand in
    a DSN. Without `prepared_statements` a pooler such as PgBouncer may give each transaction another server connection.
    """

    place: str
    """For people, without secrets."""
    arguments: Mapping[str, Any]
    dsn_options: Mapping[str, str]
    prepared_statements: bool = True


async def connected(address: ServerAddress, *, read_only: bool = False, share: int | None = None) -> Any:
    """A new connection of asyncpg, on the running loop of asyncio. Raises WarehouseUnreachable.

    If it has a server's process for itself, that ends soon after ours, and it shares the advisory lock `share`.
    """
    arguments = {"timeout": CONNECT_SECONDS, **address.arguments}
    settings = dict(arguments.get("server_settings") or {})
    if read_only and address.prepared_statements:
        arguments["server_settings"] = {**settings, "default_transaction_read_only": "on"}
    if not address.prepared_statements:
        arguments["statement_cache_size"] = 0
    if address.dsn_options:
        dsn = arguments.get("dsn") or "postgresql://"
        arguments["dsn"] = f"{dsn}{'&' if '?' in dsn else '?'}{urlencode(address.dsn_options)}"
    with translated_opening(address.place):
        raw = await asyncpg.connect(connection_class=ServerConnection, **arguments)
        raw.reads_only = read_only and not address.prepared_statements
        if address.prepared_statements:
            try:
                is_set = any(_CHECK_INTERVAL in text for text in (*settings, str(settings.get("options"))))
                await _set_up(raw, share, notices_death=not is_set and raw.get_server_version() >= (14,))
            except BaseException:
                raw.terminate()
                raise
    return raw


async def _set_up(raw: Any, share: int | None, *, notices_death: bool) -> None:
    if notices_death:
        # A server on Windows could not tell.
        with contextlib.suppress(asyncpg.InvalidParameterValueError):
            await raw.execute(_NOTICE_DEATH)
            raw.set_up = _NOTICE_DEATH
    if share is not None:
        sharing = f"SELECT pg_advisory_lock_shared({_signed(share >> 32)}, {_signed(share)});"
        await raw.execute(sharing)
        raw.set_up += sharing


def _signed(number: int) -> int:
    """Its lower 32 bits as the server's `integer`."""
    return ((number & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000
