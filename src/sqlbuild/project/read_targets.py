"""The `[connections.*]` and `[targets.*]` tables of the settings, and which target is the chosen one."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlbuild.domain.settings import Connection, Target
from sqlbuild.errors import Problem
from sqlbuild.project.field_reader import FieldReader, nearest
from sqlbuild.project.known_keys import (
    CONNECTION_KEYS,
    IGNORED_CONNECTION_KEYS,
    IGNORED_TARGET_KEYS,
    TARGET_KEYS,
)
from sqlbuild.project.located import Located, describe, plain
from sqlbuild.project.placeholders import Placeholders

IN_MEMORY = ":memory:"
ONLY_TARGET = "dev"
DEFAULT_SCHEMA = "main"

_PORT = re.compile(r"[1-9][0-9]{0,4}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """All targets by name; `table` is the chosen one's, with its placeholders filled in."""

    chosen: Target
    by_name: Mapping[str, Target]
    table: FieldReader


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What connections need to know besides their tables.

    `adapter` is None if it is not supported, so that nothing more is said about its connections; `home` is the user's
    folder, empty if unknown.
    """

    root: str
    project_name: str
    adapter: str | None
    home: str
    placeholders: Placeholders


def read_targets(top: FieldReader, wanted: str | None, around: Surroundings) -> Targets:
    """`wanted` is the target named on the command line.

    Missing variables are problems only in the chosen target and its connection.
    """
    table = top.table("targets") or FieldReader(Located({}, top.located.file), "targets", top.problems)
    chosen = _choose(top, wanted, list(table.entries))
    tables = {
        name: FieldReader(around.placeholders.fill(reader.located, report=name == chosen), reader.path, reader.problems)
        for name, reader in table.tables().items()
    }
    used = _text_or_none(tables[chosen], "connection") if chosen in tables else None
    connections = _connections(top, used, around)
    by_name = {name: _target(name, reader, connections, around) for name, reader in tables.items()}
    if chosen in tables:
        by_name[chosen] = _in_own_database(by_name[chosen], tables[chosen])
    if chosen not in by_name:
        connection = _only_connection(table, connections, around, needed=not by_name)
        by_name[chosen] = Target(name=chosen, connection=connection, schema=DEFAULT_SCHEMA)
    table_of_chosen = tables.get(chosen, FieldReader(Located({}, top.located.file), table.path, top.problems))
    return Targets(chosen=by_name[chosen], by_name=by_name, table=table_of_chosen)


def _choose(top: FieldReader, wanted: str | None, names: list[str]) -> str:
    """The name given on the command line, in the local file, as `default_target`; or the only target there is."""
    key = "target" if "target" in top.entries else "default_target"
    known = names or [ONLY_TARGET]
    listed = "targets: " + ", ".join(known)
    name = top.text(key) if wanted is None else wanted
    if name is None:
        if len(known) > 1 and key not in top.entries:
            message = "there are several targets and none is chosen"
            help = f'write default_target = "{known[0]}", or give --target; {listed}'
            top.problems.append(top.located.file.problem("TARGET", message, help))
        return known[0]
    if name not in known:
        if wanted is None:
            top.refuse(key, f"`{key}`: there is no target `{name}`", listed, code="TARGET")
        else:
            top.problems.append(Problem(code="TARGET", message=f"there is no target `{name}`", help=listed))
    return name


def _target(name: str, reader: FieldReader, connections: Mapping[str, Connection], around: Surroundings) -> Target:
    reader.refuse_unknown(TARGET_KEYS, IGNORED_TARGET_KEYS)
    reader.require("schema", 'write schema = "...": each target builds into a schema of its own')
    written = reader.text("connection")
    if written is not None and written in connections:
        connection = connections[written]
    elif written is None:
        connection = _only_connection(reader, connections, around, needed="connection" not in reader.entries)
    else:
        connection = _file_connection(around)
        help = nearest(written, connections) if connections else f"write [connections.{written}]"
        reader.refuse(
            "connection", f"`{reader.name_of('connection')}`: there is no connection `{written}`", help, code="TARGET"
        )
    return Target(
        name=name,
        connection=connection,
        schema=reader.text("schema") or DEFAULT_SCHEMA,
        database=reader.text("database") or "",
        vars=reader.json_table("vars") or {},
    )


def _in_own_database(target: Target, reader: FieldReader) -> Target:
    """A connection to PostgreSQL sees one database: that of a target can be no other, and need not be named."""
    if not target.database or target.connection.adapter != "postgres":
        return target
    options = target.connection.options
    own = str(options.get("database") or options.get("dbname") or _database_of(str(options.get("dsn") or "")))
    if own != target.database:
        there = (
            f"the connection {target.connection.name} is to {own}"
            if own
            else "its connection does not say to which it is"
        )
        reader.refuse(
            "database",
            f"`{reader.name_of('database')}` is {target.database}, but {there}",
            "remove it; the connection's own `database` is the one that is built into",
            code="TARGET",
        )
    return dataclasses.replace(target, database="")


def _database_of(dsn: str) -> str:
    """As far as it is written there."""
    try:
        return unquote(urlsplit(dsn).path.strip("/"))
    except ValueError:
        return ""


def _only_connection(
    reader: FieldReader, connections: Mapping[str, Connection], around: Surroundings, *, needed: bool
) -> Connection:
    """What a target uses that names no connection: the only one there is, or a DuckDB file called like the project."""
    if len(connections) == 1:
        return next(iter(connections.values()))
    if needed and (connections or around.adapter == "postgres"):
        known = ", ".join(connections)
        reader.problems.append(
            reader.located.problem(
                "TARGET",
                f"`{reader.path}` names no connection" if connections else "there is no connection",
                f"write connection = ... in [targets.*]; connections: {known}"
                if connections
                else "write a table [connections.NAME]",
                at_key=True,
            )
        )
    return _file_connection(around)


def _file_connection(around: Surroundings) -> Connection:
    database = str(Path(around.root, f"{around.project_name}.duckdb"))
    return Connection(name="default", adapter="duckdb", options={"database": database})


def _connections(top: FieldReader, used: str | None, around: Surroundings) -> dict[str, Connection]:
    table = top.table("connections")
    tables = table.tables() if table else {}
    if used is None and len(tables) == 1:
        used = next(iter(tables))
    found: dict[str, Connection] = {}
    for name, reader in tables.items():
        filled = around.placeholders.fill(reader.located, report=name == used)
        if around.adapter is None:
            found[name] = Connection(name=name, adapter="duckdb", options={"database": IN_MEMORY})
            continue
        options = _options(FieldReader(filled, reader.path, reader.problems), around.adapter, around)
        found[name] = Connection(name=name, adapter=around.adapter, options=options)
    return found


def _options(reader: FieldReader, adapter: str, around: Surroundings) -> dict[str, object]:
    known = CONNECTION_KEYS[adapter]
    if adapter == "duckdb" and "attach" in reader.entries:
        reader.refuse(
            "attach",
            f"`{reader.name_of('attach')}` is not supported yet",
            "keep everything in one database, or read other files in a source's expression",
            code="UNSUPPORTED",
            at_key=True,
        )
        known = known | {"attach"}
    reader.refuse_unknown(known, IGNORED_CONNECTION_KEYS[adapter])
    options = _duckdb_options(reader, around) if adapter == "duckdb" else _postgres_options(reader)
    return {key: value for key, value in options.items() if value is not None}


def _duckdb_options(reader: FieldReader, around: Surroundings) -> dict[str, object]:
    reader.require("database", f'write database = "{around.project_name}.duckdb", or "{IN_MEMORY}"')
    database = reader.text("database")
    return {
        "database": _database_path(database, around) if database else IN_MEMORY,
        "settings": _scalars(reader, "settings"),
        "extensions": reader.texts("extensions"),
        "read_only": reader.boolean("read_only"),
    }


def _database_path(written: str, around: Surroundings) -> str:
    """Absolute; relative paths start at the project root."""
    if written == IN_MEMORY or "://" in written:
        return written
    if written.startswith("~/") and around.home:
        return str(Path(around.home, written[2:]))
    return str(Path(around.root, written))


def _postgres_options(reader: FieldReader) -> dict[str, object]:
    options: dict[str, object] = {
        key: reader.text(key, empty=True)
        for key in CONNECTION_KEYS["postgres"] - {"port", "connect_timeout", "settings"}
        if key in reader.entries
    }
    options["port"] = _port(reader)
    options["connect_timeout"] = reader.number("connect_timeout", above=0.0)
    options["settings"] = _scalars(reader, "settings")
    return options


def _port(reader: FieldReader) -> int | None:
    """A number, or its digits: variables of the environment are always text."""
    written = _text_or_none(reader, "port")
    return int(written) if written and _PORT.fullmatch(written) else reader.whole_number("port", minimum=1)


def _scalars(reader: FieldReader, key: str) -> dict[str, object] | None:
    """A table of texts, numbers, true and false."""
    table = reader.table(key)
    if table is None:
        return None
    for name, entry in table.entries.items():
        if not isinstance(entry.value, str | int | float):
            table.refuse(
                name,
                f"`{table.name_of(name)}` must be text, a number, true or false, not {describe(entry.value)}",
                f'write for example {name} = "4GB"',
                code="WRONG_TYPE",
            )
    return {name: plain(entry) for name, entry in table.entries.items() if isinstance(entry.value, str | int | float)}


def _text_or_none(reader: FieldReader, key: str) -> str | None:
    entry = reader.entries.get(key)
    return entry.value if entry and isinstance(entry.value, str) else None
