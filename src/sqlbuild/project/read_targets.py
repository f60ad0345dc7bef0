"""The `[connections.*]` and `[targets.*]` tables of the settings, and which target is the chosen one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlbuild.domain.record import record
from sqlbuild.domain.settings import Connection, Target
from sqlbuild.errors import Problem
from sqlbuild.project.connection_options import IN_MEMORY, ConnectionOptions
from sqlbuild.project.field_reader import FieldReader, nearest
from sqlbuild.project.known_keys import CONNECTION_KEYS, IGNORED_TARGET_KEYS, TARGET_KEYS
from sqlbuild.project.located import Located
from sqlbuild.project.placeholders import Placeholders

ONLY_TARGET = "dev"
DEFAULT_SCHEMAS = {"duckdb": "main", "postgres": "public"}


@record(frozen=True, slots=True, kw_only=True)
class Targets:
    """All targets by name; `table` is the chosen one's, with its placeholders filled in."""

    chosen: Target
    by_name: Mapping[str, Target]
    table: FieldReader


@record(frozen=True, slots=True, kw_only=True)
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
        by_name[chosen] = Target(name=chosen, connection=connection, schema=DEFAULT_SCHEMAS[connection.adapter])
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
        schema=reader.text("schema") or DEFAULT_SCHEMAS[connection.adapter],
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
    options = ConnectionOptions(around.root, around.project_name, around.home, around.placeholders)
    found: dict[str, Connection] = {}
    for name, reader in tables.items():
        filled = FieldReader(
            around.placeholders.fill(reader.located, report=name == used), reader.path, reader.problems
        )
        adapter = _adapter(filled, around)
        if adapter is None:
            found[name] = Connection(name=name, adapter="duckdb", options={"database": IN_MEMORY})
            continue
        found[name] = Connection(name=name, adapter=adapter, options=options.read(filled, adapter, chosen=name == used))
    return found


def _adapter(reader: FieldReader, around: Surroundings) -> str | None:
    """The connection's own, or the project's."""
    if "adapter" not in reader.entries:
        return around.adapter
    written = reader.text("adapter")
    if written is None or written in CONNECTION_KEYS:
        return written
    message = f"`{reader.name_of('adapter')}`: {written} is not supported"
    reader.refuse("adapter", message, nearest(written, CONNECTION_KEYS), code="ADAPTER")
    return None


def _text_or_none(reader: FieldReader, key: str) -> str | None:
    entry = reader.entries.get(key)
    return entry.value if entry and isinstance(entry.value, str) else None
