"""Settings of a PostgreSQL connection as what asyncpg takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sqlbuild.domain.settings import Connection
from sqlbuild.drivers.postgres import ServerAddress

_ONLY_IN_DSN = ("sslmode", "sslrootcert", "sslcert", "sslkey")
_APPLICATION = "sqlbuild"


def server_address(connection: Connection) -> ServerAddress:
    """Options: `dsn`, or `host`, `hostaddr`, `port`, `user`, `password`, `passfile`, `service`, `database` (or
    `dbname`), `sslmode` and its files, `target_session_attrs`, `connect_timeout` (seconds), `application_name`,
    `options`, `settings` (parameters of the server's session), `prepared_statements`. What is not given is taken from
    libpq's environment variables, as psql does.
    """
    options: Mapping[str, Any] = connection.options
    arguments: dict[str, Any] = {}
    for key in ("dsn", "port", "user", "password", "passfile", "service", "target_session_attrs"):
        if options.get(key) not in (None, ""):
            arguments[key] = options[key]
    host = options.get("hostaddr") or options.get("host")
    if host:
        arguments["host"] = host
    database = options.get("database") or options.get("dbname")
    if database:
        arguments["database"] = database
    if options.get("connect_timeout"):
        arguments["timeout"] = float(options["connect_timeout"])
    settings = {name: _setting(value) for name, value in dict(options.get("settings") or {}).items()}
    if options.get("options"):
        settings["options"] = str(options["options"])
    arguments["server_settings"] = {
        "application_name": str(options.get("application_name") or _APPLICATION),
        **settings,
    }
    return ServerAddress(
        place=_place(arguments),
        arguments=arguments,
        dsn_options={key: str(options[key]) for key in _ONLY_IN_DSN if options.get(key)},
        prepared_statements=bool(options.get("prepared_statements", True)),
    )


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _place(arguments: Mapping[str, Any]) -> str:
    """Host, port and database, never user or password."""
    parts = urlsplit(str(arguments.get("dsn") or ""))
    host = arguments.get("host") or parts.hostname or "localhost"
    port = arguments.get("port") or parts.port
    database = arguments.get("database") or parts.path.strip("/")
    return f"{host}{f':{port}' if port else ''}{f'/{database}' if database else ''}"
