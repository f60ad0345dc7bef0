"""How a server is reached: a new connection of asyncpg to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import asyncpg

from sqlbuild.drivers.postgres_errors import translated_opening
from sqlbuild.drivers.postgres_pool import ServerConnection

CONNECT_SECONDS = 15.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """Where a server is and how to get in. `arguments` are those of `asyncpg.connect`; `dsn_options` can only stand in
    a DSN. Without `prepared_statements` a pooler such as PgBouncer may give each transaction another server connection.
    """

    place: str
    """For people, without secrets."""
    arguments: Mapping[str, Any]
    dsn_options: Mapping[str, str]
    prepared_statements: bool = True


async def connected(address: ServerAddress, *, read_only: bool = False) -> Any:
    """A new connection of asyncpg, on the running loop of asyncio. Raises WarehouseUnreachable."""
    arguments = {"timeout": CONNECT_SECONDS, **address.arguments}
    if read_only:
        settings = dict(arguments.get("server_settings") or {})
        arguments["server_settings"] = {**settings, "default_transaction_read_only": "on"}
    if not address.prepared_statements:
        arguments["statement_cache_size"] = 0
    if address.dsn_options:
        dsn = arguments.get("dsn") or "postgresql://"
        arguments["dsn"] = f"{dsn}{'&' if '?' in dsn else '?'}{urlencode(address.dsn_options)}"
    with translated_opening(address.place):
        return await asyncpg.connect(connection_class=ServerConnection, **arguments)
