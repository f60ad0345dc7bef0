"""Settings of a PostgreSQL connection as what asyncpg takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from sqlbuild.domain.settings import Connection
from sqlbuild.drivers.postgres_opening import ServerAddress
from sqlbuild.errors import WarehouseUnreachable

_ONLY_IN_DSN = ("sslmode", "sslrootcert", "sslcert", "sslkey")
_KEPT_UP = """
    channel_binding fallback_application_name gssencmode keepalives keepalives_count keepalives_idle keepalives_interval
    sslcompression tcp_user_timeout
"""
_OPTIONS_OF_DSN = ("application_name", "connect_timeout", "hostaddr", "options")
_LIBPQ_ONLY = frozenset((*_OPTIONS_OF_DSN, *_KEPT_UP.split()))
"""Of the query of a DSN. What is not taken from there says how the connection is kept up, which asyncpg decides."""
_APPLICATION = "sqlbuild"
LOCK_SECONDS = 60.0


def server_address(connection: Connection) -> ServerAddress:
    """Options: `dsn` (a URL), or `host`, `hostaddr`, `port`, `user`, `password`, `passfile`, `service`, `database` (or
    `dbname`), `sslmode` and its files, `target_session_attrs`, `connect_timeout` and `statement_timeout` (seconds),
    `application_name`, `search_path` and `settings` (parameters of the server's session), `options`,
    `prepared_statements`. They come before what the DSN says. What is not given is taken from libpq's environment
    variables, as psql does.
    """
    options: Mapping[str, Any] = _with_those_of_dsn(connection.options)
    arguments: dict[str, Any] = {}
    for key in ("dsn", "port", "user", "password", "passfile", "service", "target_session_attrs"):
        if options.get(key) not in (None, ""):
            arguments[key] = options[key]
    if "service" in arguments:
        # asyncpg looks for it only when it has a DSN.
        arguments.setdefault("dsn", "postgresql://")
    host = options.get("hostaddr") or options.get("host")
    if host:
        arguments["host"] = host
    database = options.get("database") or options.get("dbname")
    if database:
        arguments["database"] = database
    if options.get("connect_timeout"):
        arguments["timeout"] = _seconds(options["connect_timeout"])
    settings = {name: _setting(value) for name, value in dict(options.get("settings") or {}).items()}
    if options.get("search_path"):
        settings["search_path"] = str(options["search_path"])
    if options.get("statement_timeout"):
        settings["statement_timeout"] = f"{max(1, round(float(options['statement_timeout']) * 1000))}ms"
    if options.get("options"):
        settings["options"] = str(options["options"])
    arguments["server_settings"] = {
        "application_name": str(options.get("application_name") or _APPLICATION),
        **settings,
    }
    place = _place(arguments)
    if isinstance(arguments.get("host"), str) and "," in arguments["host"]:
        arguments["host"] = arguments["host"].split(",")
    if isinstance(arguments.get("port"), str):
        ports = [int(port) for port in arguments["port"].split(",")]
        arguments["port"] = ports if len(ports) > 1 else ports[0]
    return ServerAddress(
        place=place,
        arguments=arguments,
        dsn_options={key: str(options[key]) for key in _ONLY_IN_DSN if options.get(key)},
        prepared_statements=bool(options.get("prepared_statements", True)),
    )


def _with_those_of_dsn(options: Mapping[str, Any]) -> dict[str, Any]:
    """What libpq knows in the query of a URL and asyncpg would take for a parameter of the session."""
    address, mark, query = str(options.get("dsn") or "").partition("?")
    if not mark:
        return dict(options)
    found = {key: value for key, value in parse_qsl(query) if key in _LIBPQ_ONLY}
    rest = [pair for pair in query.split("&") if unquote(pair.partition("=")[0]) not in _LIBPQ_ONLY]
    dsn = f"{address}?{'&'.join(rest)}" if rest else address
    of_dsn: dict[str, Any] = {key: found[key] for key in _OPTIONS_OF_DSN if key in found}
    return {**of_dsn, **options, "dsn": dsn}


def check_files(connection: Connection) -> None:
    """Raises WarehouseUnreachable for a file that is not there; the errors of TLS do not say which."""
    for key in ("sslrootcert", "sslcert", "sslkey", "passfile"):
        path = connection.options.get(key)
        if path and path != "system" and not os.path.isfile(str(path)):
            raise WarehouseUnreachable(
                f"the file {path} does not exist", help=f"correct `{key}` of the connection {connection.name}"
            )


def lock_seconds(connection: Connection) -> float:
    """For how long a build waits for the locks with which it replaces a relation."""
    written = connection.options.get("lock_timeout")
    return LOCK_SECONDS if written is None else float(str(written))


def _seconds(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise WarehouseUnreachable(
            f"connect_timeout is {value!r}, which is no number of seconds",
            help="write for example connect_timeout = 10",
        ) from None


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _place(arguments: Mapping[str, Any]) -> str:
    """Hosts, port and database, never user or password, whatever stands in the DSN."""
    address, _, query = str(arguments.get("dsn") or "").partition("://")[2].partition("?")
    written, _, path = address.rpartition("@")[2].partition("/")
    more = dict(parse_qsl(query))
    service = arguments.get("service") or more.get("service")
    elsewhere = f"the service {service}" if service else "localhost"
    host = arguments.get("host") or unquote(written) or more.get("host") or elsewhere
    port = arguments.get("port") or more.get("port")
    database = arguments.get("database") or unquote(path) or more.get("dbname") or more.get("database")
    return f"{host}{f':{port}' if port else ''}{f'/{database}' if database else ''}"
