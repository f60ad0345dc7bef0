"""DuckDB's errors as ours."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb

from sqlbuild.errors import SqlbuildError, TargetLocked, WarehouseError, WarehouseUnreachable

MAX_MESSAGE = 10_000

_DURABLE = "COMMIT succeeded and is durable"
_REFUSED = "database has been invalidated because of a previous fatal error"
_LOCKED = "Could not set lock on file"
# Compiled when the first error comes: to compile them all costs what loading ten modules does.
_HOLDER = r"Conflicting lock is held in (?P<program>.*?) \(PID (?P<pid>\d+)\)"
_WRONG_KIND = r"(?s)Existing object .* is of type (?:View|Table), trying to"
_PYTHON_NAME = r'Python Object "(?P<name>[^"]*)" of type'
_MISSING_MODULE = r"Required module '(?P<module>\w+)' failed to import"
_CONFLICT = r"(?i)conflict|another transaction"
_NOISE = r"""(?x)
    \s*See\ also\ https?://\S+                                  # links to general pages
    | \n*Did\ you\ mean\ "(?:pg_|duckdb_|sqlite_|pragma_)[^\n]*     # names of system tables that happen to be near
    """
_HELP = (
    (
        r'(?s)[Ee]xtension "?[\w/.-]*"? ?(?:.*)not found|install the required extension',
        "extensions are not downloaded by themselves: name it in `extensions` of the connection, "
        "or install it once with DuckDB's INSTALL",
    ),
    (
        r"^Out of Memory Error",
        "raise memory_limit or lower threads in the settings of the connection, or give the statement less to hold",
    ),
    (r"No space left on device", "free space on the disk, then build again"),
)


class BrokenDatabase(WarehouseError):
    """DuckDB came to grief, for example while it wrote a checkpoint: it refuses everything until it is opened anew.

    `refused`: for what another statement did; this one was not begun.
    """

    refused = False


class WrongRelationKind(WarehouseError):
    """A table stands where the statement expects a view, or the reverse."""


@contextlib.contextmanager
def translated(sql: str = "") -> Iterator[None]:
    """Turn what DuckDB raises for `sql` into WarehouseError."""
    try:
        yield
    except duckdb.FatalException as error:
        raise _broken(str(error), sql) from error
    except duckdb.Error as error:
        raise _statement_error(str(error), sql, interrupted=isinstance(error, duckdb.InterruptException)) from error
    except RuntimeError as error:  # what the binding raises for text that is not valid Unicode
        raise WarehouseError(f"the statement cannot be handed to DuckDB: {error}", sql=sql) from error


@contextlib.contextmanager
def durable_commits() -> Iterator[None]:
    """What DuckDB calls committed is committed, also if it cannot go on after it, as on a full disk: whoever asks it for
    anything else is told that, and nobody does again what was done."""
    try:
        yield
    except duckdb.FatalException as error:
        if _DURABLE not in str(error):
            raise


@contextlib.contextmanager
def translated_batches(sql: str) -> Iterator[None]:
    """The same while Arrow reads: it only passes on DuckDB's text."""
    try:
        yield
    except (OSError, ValueError) as error:
        text = str(error)
        raise _statement_error(text, sql, interrupted=text.startswith("INTERRUPT Error")) from error


@contextlib.contextmanager
def translated_opening(path: str) -> Iterator[None]:
    """Turn what DuckDB raises while it opens the database file `path` into TargetLocked or WarehouseUnreachable."""
    try:
        yield
    except duckdb.Error as error:
        raise _opening_error(error, path) from error


def first_line(error: duckdb.Error) -> str:
    return _message(str(error)).partition("\n")[0]


def _broken(text: str, sql: str) -> BrokenDatabase:
    broken = BrokenDatabase(_message(text), sql=sql, transient=True)
    broken.refused = _REFUSED in text
    return broken


def _statement_error(text: str, sql: str, *, interrupted: bool) -> WarehouseError:
    if interrupted:
        return WarehouseError("the statement was interrupted", sql=sql)
    if re.search(_WRONG_KIND, text):
        return WrongRelationKind(_message(text), sql=sql)
    if found := re.search(_PYTHON_NAME, text):
        # A name that no relation has was looked up among the variables of this very module.
        return WarehouseError(f"Catalog Error: Table with name {found['name']} does not exist!", sql=sql)
    if found := re.search(_MISSING_MODULE, text):
        return WarehouseError(
            f"DuckDB needs the Python package {found['module']} to read a value of this result",
            help=f"pip install {found['module']}, or cast the column in SQL, for example to TIMESTAMP or VARCHAR",
            sql=sql,
        )
    transient = text.startswith("TransactionContext Error") and re.search(_CONFLICT, text) is not None
    advice = next((advice for pattern, advice in _HELP if re.search(pattern, text)), "")
    return WarehouseError(_message(text), help=advice, sql=sql, transient=transient)


def _message(text: str) -> str:
    text = re.sub(_NOISE, "", text).strip()
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}... ({len(text):,} characters)"


def _opening_error(error: duckdb.Error, path: str) -> SqlbuildError:
    text = str(error)
    file = Path(path)
    if _LOCKED in text:
        return _locked(text, path)
    if "with a different configuration" in text:
        return WarehouseUnreachable(
            f"{path} is already open in this process with other settings",
            help="close the connection that your own code opened, or use ctx.query and ctx.connection",
        )
    if "not a valid DuckDB database file" in text:
        return not_a_database(path)
    if file.is_dir():
        return WarehouseUnreachable(
            f"{path} is a folder, not a database file", help="add a file name to `database` of the connection"
        )
    if not file.parent.is_dir():
        return WarehouseUnreachable(
            f"the folder of {path} does not exist", help=f"mkdir -p {file.parent}, or correct `database`"
        )
    if "Permission denied" in text or "Read-only file system" in text:
        return WarehouseUnreachable(
            f"{path} cannot be opened: permission denied",
            help=f"look at it with `ls -l {path}`; the file and its folder must be writable for you",
        )
    return WarehouseUnreachable(
        f"{path} cannot be opened: {_message(text)}", help="look at `database` and `settings` of the connection"
    )


def not_a_database(path: str) -> WarehouseUnreachable:
    return WarehouseUnreachable(
        f"{path} is not a DuckDB database",
        help="set `database` of the connection to another path, or move that file away",
    )


def _locked(text: str, path: str) -> TargetLocked:
    holder = re.search(_HOLDER, text)
    if holder is None:
        return TargetLocked(f"{path} is in use by another process", help=f"find it with `fuser {path}`")
    pid, program = holder["pid"], Path(holder["program"]).name
    return TargetLocked(
        f"{path} is in use by process {pid} ({program})",
        help=f"look at it with `ps -fp {pid}`; wait for it, or stop it with `kill {pid}`",
    )
