"""The options of one `[connections.*]` table, checked, for its adapter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from sqlbuild.domain.pattern import pattern
from sqlbuild.project.field_reader import FieldReader, nearest
from sqlbuild.project.known_keys import CONNECTION_KEYS, IGNORED_CONNECTION_KEYS
from sqlbuild.project.located import Located, describe, plain
from sqlbuild.project.placeholders import Placeholders
from sqlbuild.project.postgres_dsn import DSN_KEYS, UnreadableDsn, keyword_options
from sqlbuild.sql.rendering import quote_identifier

IN_MEMORY = ":memory:"

_PORTS = pattern(r"[1-9][0-9]{0,4}(?:,[1-9][0-9]{0,4})*")
_MAX_PORT = 65535
_NUMBER = pattern(r"[0-9]+(?:\.[0-9]+)?")
_PARAMETER = pattern(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?")
_SECONDS = ("connect_timeout", "statement_timeout", "lock_timeout")
_FILES = ("passfile", "sslrootcert", "sslcert", "sslkey")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SESSION_ATTRIBUTES = ("any", "primary", "read-write", "standby", "read-only", "prefer-standby")
_BOOLEANS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
_KEPT_BY_POOLERS = frozenset({"client_encoding", "datestyle", "timezone", "standard_conforming_strings"})
"""Session parameters that PgBouncer sets again for each transaction."""


class ConnectionOptions:
    """Reads the options of all connections of a project in `root`; `home` is the user's folder, empty if unknown."""

    def __init__(self, root: str, project_name: str, home: str, placeholders: Placeholders) -> None:
        self.root = root
        self.project_name = project_name
        self.home = home
        self.placeholders = placeholders

    def read(self, reader: FieldReader, adapter: str, *, chosen: bool) -> dict[str, object]:
        """Of a connection that is not `chosen`, placeholders are left in the values."""
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
        others = [key for key in reader.entries if key in CONNECTION_KEYS["postgres"] - known]
        if adapter == "duckdb" and others and "adapter" not in reader.entries:
            reader.refuse(
                others[0],
                f"`{reader.name_of(others[0])}` is of a connection to PostgreSQL, and this one is to DuckDB",
                f'write adapter = "postgres" in [{reader.path}]',
                code="ADAPTER",
                at_key=True,
            )
            return {"database": IN_MEMORY}
        reader.refuse_unknown(known | {"adapter"}, IGNORED_CONNECTION_KEYS[adapter])
        options = self._duckdb(reader) if adapter == "duckdb" else self._postgres(reader, chosen=chosen)
        return {key: value for key, value in options.items() if value is not None}

    def _duckdb(self, reader: FieldReader) -> dict[str, object]:
        reader.require("database", f'write database = "{self.project_name}.duckdb", or "{IN_MEMORY}"')
        database = reader.text("database")
        return {
            "database": self._path(database) if database else IN_MEMORY,
            "settings": _scalars(reader, "settings"),
            "extensions": reader.texts("extensions"),
            "read_only": reader.boolean("read_only"),
        }

    def _path(self, written: str) -> str:
        """Absolute; relative paths start at the project root."""
        if written == IN_MEMORY or "://" in written:
            return written
        if written.startswith("~/") and self.home:
            return str(Path(self.home, written[2:]))
        return str(Path(self.root, written))

    def _postgres(self, reader: FieldReader, *, chosen: bool) -> dict[str, object]:
        reader = _of_environment(reader)
        options: dict[str, object] = {
            key: reader.text(key, empty=True)
            for key in CONNECTION_KEYS["postgres"] - {"port", "settings", "search_path", "prepared_statements"}
            if key in reader.entries and key not in _SECONDS
        }
        options["port"] = _port(reader)
        options |= {key: reader.number(key, above=0.0) for key in _SECONDS}
        options["settings"] = _parameters(reader)
        options["search_path"] = _search_path(reader)
        options["prepared_statements"] = reader.boolean("prepared_statements")
        if options.get("dsn"):
            options = _with_dsn(reader, options)
        if "database" in reader.entries and "dbname" in reader.entries:
            reader.refuse("dbname", f"`{reader.name_of('dbname')}` and `database` mean the same", "keep one of them")
        _check_words(reader, options)
        for key in _FILES:
            if isinstance(written := options.get(key), str) and written not in ("", "system") and "${" not in written:
                options[key] = self._path(written)
        if chosen:
            _warn_of_session_state(reader, options)
            self._hide_passwords(options)
        return options

    def _hide_passwords(self, options: Mapping[str, object]) -> None:
        """Also those that are written out; but not one that is a name as well, which would be seen everywhere."""
        names = {str(options.get(key)) for key in ("user", "database", "dbname", "host")} | {"postgres", "postgresql"}
        dsn = _split(str(options.get("dsn") or ""))
        if dsn is not None:
            names |= {str(dsn.username), dsn.path.strip("/")}
        for password in (options.get("password"), dsn.password if dsn is not None else None):
            if isinstance(password, str) and unquote(password) not in names:
                self.placeholders.hide(password)
                self.placeholders.hide(unquote(password))


def _split(dsn: str) -> SplitResult | None:
    """The parts of a URL, or None if it cannot be read."""
    try:
        parts = urlsplit(dsn)
        _ = parts.port if "," not in dsn else None
    except ValueError:
        return None
    return parts


def _of_environment(reader: FieldReader) -> FieldReader:
    """Variables of the environment are always text: what has to be a number or true or false is read from it.

    One that is not set was told of already, or is of a connection that is not used: then the key is as good as left out.
    """
    entries = dict(reader.entries)
    for key in (*_SECONDS, "prepared_statements", "port"):
        entry = entries.get(key)
        if entry is None or not isinstance(entry.value, str):
            continue
        written = entry.value.strip().lower()
        value: object = entry.value
        if "${" in entry.value:
            value = None
        elif key == "prepared_statements":
            value = _BOOLEANS.get(written, value)
        elif key != "port" and _NUMBER.fullmatch(written):
            value = float(written)
        entries[key] = Located(value, entry.file, entry.offset, entry.key_offset)
    at = reader.located
    return FieldReader(Located(entries, at.file, at.offset, at.key_offset), reader.path, reader.problems)


def _with_dsn(reader: FieldReader, options: dict[str, object]) -> dict[str, object]:
    """`host=h dbname=d` becomes keys; a URL stays as it is, but for what is no matter of the driver's."""
    dsn = str(options["dsn"])
    if dsn.startswith("${"):
        return options  # a variable that is not set, of which something was said already, or of another target
    scheme = dsn.partition("://")[0]
    example = 'write dsn = "postgresql://user@host:5432/database", or `host`, `user` and `database` of their own'
    if scheme in ("postgres", "postgresql"):
        if _split(dsn) is None and "${" not in dsn:
            reader.refuse("dsn", f"`{reader.name_of('dsn')}` is no URL that can be read", example)
        return options
    if "://" in dsn:
        reader.refuse("dsn", f"`{reader.name_of('dsn')}` is a URL of {scheme}, not of postgresql", example)
        return options
    try:
        found = keyword_options(dsn)
    except UnreadableDsn as error:
        reader.refuse("dsn", f"`{reader.name_of('dsn')}`: {error}", example)
        return options
    read: dict[str, object] = {}
    for key, value in found.items():
        if key not in DSN_KEYS:
            reader.refuse("dsn", f"`{reader.name_of('dsn')}`: unknown key `{key}`", nearest(key, DSN_KEYS))
        elif key == "port":
            read[key] = int(value) if value.isdecimal() and int(value) <= _MAX_PORT else value
        elif key == "connect_timeout":
            read[key] = float(value) if _NUMBER.fullmatch(value) else None
        else:
            read[key] = value
    written = {key: value for key, value in options.items() if value is not None and key != "dsn"}
    return read | written


def _search_path(reader: FieldReader) -> str | None:
    """A list of schemas, or a text as SET search_path takes it."""
    names = reader.texts("search_path")
    if names is None or isinstance(reader.entries["search_path"].value, str):
        return names[0] if names else None
    return ", ".join(map(quote_identifier, names))


def _port(reader: FieldReader) -> int | str | None:
    """A number, or its digits: variables of the environment are always text. Several for several hosts."""
    entry = reader.entries.get("port")
    if entry is None:
        return None
    if isinstance(entry.value, str) and _PORTS.fullmatch(entry.value):
        ports = [int(port) for port in entry.value.split(",")]
    else:
        number = reader.whole_number("port", minimum=1)
        ports = [] if number is None else [number]
    if any(port > _MAX_PORT for port in ports):
        reader.refuse("port", f"`{reader.name_of('port')}` is above {_MAX_PORT}", "PostgreSQL's own port is 5432")
        return None
    if len(ports) > 1:
        return ",".join(map(str, ports))
    return ports[0] if ports else None


def _parameters(reader: FieldReader) -> dict[str, object] | None:
    found = _scalars(reader, "settings")
    table = reader.table("settings")
    for name in found or ():
        assert table is not None
        if not _PARAMETER.fullmatch(name):
            table.refuse(
                name,
                f"`{table.name_of(name)}`: {name} is not the name of a parameter",
                'write for example work_mem = "64MB"',
                at_key=True,
            )
    return found


def _check_words(reader: FieldReader, options: Mapping[str, object]) -> None:
    for key, allowed in (("sslmode", _SSL_MODES), ("target_session_attrs", _SESSION_ATTRIBUTES)):
        written = options.get(key)
        if isinstance(written, str) and written and written not in allowed and "${" not in written:
            reader.refuse(
                key if key in reader.entries else "dsn",
                f"`{reader.name_of(key)}` must be one of {', '.join(allowed)}, not {describe(written)}",
                nearest(written, allowed),
            )


def _warn_of_session_state(reader: FieldReader, options: Mapping[str, object]) -> None:
    """A pooler gives each transaction another session, without what was set in the last one."""
    if options.get("prepared_statements") is not False:
        return
    settings = options.get("settings")
    lost = [key for key in ("search_path", "statement_timeout", "options") if options.get(key)]
    if isinstance(settings, Mapping):
        lost += [f"settings.{name}" for name in settings if name.lower() not in _KEPT_BY_POOLERS]
    for key in lost:
        inner = key.removeprefix("settings.")
        entry = reader.entries.get(key) or reader.entries["settings"].table.get(inner, reader.entries["settings"])
        reader.problems.append(
            entry.problem(
                "POOLER",
                f"`{reader.name_of(key)}`: a pooler in transaction mode does not keep parameters of a session",
                f"set it for the user: ALTER ROLE ... SET {inner if inner != 'options' else 'work_mem'} = ...; with a pooler in session mode "
                "remove prepared_statements = false",
                severity="warning",
            )
        )


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
