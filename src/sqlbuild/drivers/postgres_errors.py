"""PostgreSQL's and asyncpg's errors as ours."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator

import asyncpg

from sqlbuild.errors import SqlbuildError, WarehouseError, WarehouseUnreachable

MAX_MESSAGE = 10_000

_LOST_CLASSES = ("08", "57P")
"""Lost connections, servers that are going down or coming up."""
_TRANSIENT_CLASSES = (*_LOST_CLASSES, "40")
"""And serialization failures and deadlocks."""
_TRANSIENT = frozenset({"53300", "55P03", "55006"})
"""Too many connections, a lock that could not be had, an object in use."""
_WRONG_KIND = frozenset({"42809"})
_INTERRUPTED = "canceling statement due to user request"
_PARAMETER = "invalid input for query argument"
_PARAMETER_HELP = "give a value of that type, or cast the parameter in SQL, for example $1::integer"
_HELP = {
    "53100": "free space on the server's disk, then build again",
    "53300": "lower [settings] connections, or raise max_connections of the server",
    "55P03": "somebody holds a lock on it: look at pg_locks and pg_stat_activity, or raise lock_timeout in the settings of "
    "the connection",
    "57014": "raise statement_timeout in the settings of the connection, or of the role on the server",
    "42501": "grant the privilege to the user of the connection, or connect as another",
    "42P01": "names of schemas and tables are taken as they are written: what was created without double quotes is in "
    "lower case",
    "26000": "behind a pooler such as PgBouncer set prepared_statements = false for the connection",
}

_LOST_HELP = "look at the server's log; a `retry` policy runs the node again"


class LostConnection(WarehouseError):
    """The server or the network ended the connection; whether the statement took effect is not known."""


class ServerAway(WarehouseUnreachable):
    """The server is not there, or takes nobody in; in a moment it may."""


class StalePlan(WarehouseError):
    """What a statement reads was replaced since it was prepared. It has not run."""


class WrongRelationKind(WarehouseError):
    """A table stands where the statement expects a view, or the reverse."""


class translated:  # noqa: N801 - reads like contextlib.suppress, and costs a third of a generator
    """Turn what asyncpg raises for `sql` into WarehouseError. `within`: the statement that `sql` is a part of; messages
    show and count lines of `sql`."""

    __slots__ = ("_sql", "_within")

    def __init__(self, sql: str = "", within: str = "") -> None:
        self._sql = sql
        self._within = within

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            told = _translation(error, self._sql, self._within)
            if told is not None:
                raise told from error


def _translation(error: BaseException, sql: str, within: str) -> WarehouseError | None:
    match error:
        case asyncpg.PostgresError():
            return statement_error(error, sql, within)
        case asyncpg.InterfaceError():
            return _interface_error(error, sql)
        case ConnectionError() | asyncpg.InternalClientError() | EOFError() | OSError():
            return _lost(str(error) or type(error).__name__, sql)
        case UnicodeError():
            return WarehouseError(f"the statement cannot be handed to PostgreSQL: {error}", sql=sql)
        case _:
            return None


@contextlib.contextmanager
def translated_opening(place: str) -> Iterator[None]:
    """Turn what asyncpg raises while it connects to the server at `place` into WarehouseUnreachable."""
    try:
        yield
    except SqlbuildError:
        raise
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, ValueError) as error:
        raise _opening_error(error, place) from error


def statement_error(error: asyncpg.PostgresError, sql: str, within: str = "") -> WarehouseError:
    code = str(getattr(error, "sqlstate", None) or "")
    text = _message(error, sql, max(0, within.find(sql)))
    if code == "57014" and _INTERRUPTED in text:
        return WarehouseError("the statement was interrupted", sql=sql)
    if code.startswith("08"):
        return _lost(text, sql)
    kind = WrongRelationKind if code in _WRONG_KIND else WarehouseError
    if code in ("57P01", "57P02"):
        kind = LostConnection
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        kind = StalePlan
    transient = kind is StalePlan or code in _TRANSIENT or code.startswith(_TRANSIENT_CLASSES)
    help = _LOST_HELP if kind is LostConnection else _PARAMETER_HELP if _PARAMETER in text else _help_of(code, text)
    return kind(text, help=help, sql=sql, transient=transient)


def _help_of(code: str, text: str) -> str:
    message = text.partition("\n")[0]
    if code == "42P01" and message == message.lower():
        return ""
    if code == "42501" and message.startswith("must be owner of"):
        return "make the user of the connection a member of the role that owns it, or drop it and let the build make it"
    return _HELP.get(code, "")


def _interface_error(error: asyncpg.InterfaceError, sql: str) -> WarehouseError:
    text = str(error)
    if "connection is closed" in text or "connection was closed" in text or "closed in the middle" in text:
        return _lost(text, sql)
    return WarehouseError(text.partition("\n")[0], help=_PARAMETER_HELP if _PARAMETER in text else "", sql=sql)


def _lost(text: str, sql: str) -> WarehouseError:
    return LostConnection(
        f"the connection to PostgreSQL was lost: {text}",
        help=_LOST_HELP,
        sql=sql,
        transient=True,
    )


def _message(error: asyncpg.PostgresError, sql: str, start: int) -> str:
    """As psql shows it: the message, then detail and hint, then the line of the statement with a caret below."""
    parts = [str(getattr(error, "message", None) or error).strip()]
    for label in ("detail", "hint"):
        value = getattr(error, label, None)
        # Of asyncpg's own advice on poolers, half a page, there is a line in _HELP.
        if value and "pgbouncer" not in value:
            parts.append(f"{label.upper()}: {value}")
    position = int(getattr(error, "position", None) or 0) - start
    if 0 < position <= len(sql) + 1:
        parts.append(_pointed(sql, position))
    text = "\n".join(parts)
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}... ({len(text):,} characters)"


def _pointed(sql: str, position: int) -> str:
    """`position` is a character of `sql`, from 1."""
    before = sql[: position - 1]
    number = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1)
    line = sql.split("\n")[number - 1] if number <= sql.count("\n") + 1 else ""
    start = max(0, column - 60)
    shown = line[start : start + 120]
    head = f"LINE {number}: "
    return f"{head}{shown}\n{' ' * (len(head) + column - start)}^"


def _opening_error(error: Exception, place: str) -> WarehouseUnreachable:
    code = str(getattr(error, "sqlstate", None) or "")
    text = str(error).partition("\n")[0] or type(error).__name__
    if code in ("28P01", "28000"):
        return WarehouseUnreachable(
            f"PostgreSQL at {place} does not let us in: {text}", help="look at `user` and `password` of the connection"
        )
    if code == "3D000":
        return WarehouseUnreachable(
            f"PostgreSQL at {place}: {text}", help="create it with `createdb`, or correct `database` of the connection"
        )
    if "unsupported startup parameter" in text:
        return WarehouseUnreachable(
            f"PostgreSQL at {place}: {text}",
            help="a pooler does not take it: remove it and set it for the user of the connection with ALTER ROLE ... SET",
        )
    if code == "53300" or code.startswith(_LOST_CLASSES):
        return ServerAway(f"PostgreSQL at {place}: {text}", help=_HELP.get(code, "wait until it is up"))
    if isinstance(error, ssl.SSLError):
        return WarehouseUnreachable(
            f"no encrypted connection to PostgreSQL at {place}: {text}",
            help="look at `sslmode` and `sslrootcert` of the connection",
        )
    if isinstance(error, TimeoutError):
        return ServerAway(
            f"PostgreSQL at {place} does not answer", help="look at `host` and `port`, or raise connect_timeout"
        )
    if isinstance(error, OSError):
        return ServerAway(
            f"PostgreSQL at {place} cannot be reached: {os.strerror(error.errno) if error.errno else text}",
            help="is the server running, and are `host` and `port` of the connection right?",
        )
    return WarehouseUnreachable(f"PostgreSQL at {place}: {text}", help="look at the settings of the connection")
