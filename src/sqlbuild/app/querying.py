"""`sqb query`: a read-only look into the target."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio

from sqlbuild.app.event_loop import run_async
from sqlbuild.app.options import Compiled
from sqlbuild.app.target_access import Patience
from sqlbuild.app.wiring import make_access, make_copying, make_warehouse
from sqlbuild.compiler.nearest_name import NearestName
from sqlbuild.domain.exports import ExportFormat
from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.errors import Problem, ProjectError, WarehouseError, WarehouseUnreachable
from sqlbuild.interfaces.exporting import CopyOrder
from sqlbuild.interfaces.warehouse import Connection
from sqlbuild.sql.rendering import quote_relation, render_source_expression

_FORMATS = {
    f".{format}": format for format in (ExportFormat.CSV, ExportFormat.JSON, ExportFormat.JSONL, ExportFormat.PARQUET)
}
_NAMES = pattern(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/
        | \b(?P<kind>model|source|seed):(?P<name>[a-z_][a-z0-9_]*)\b""",
    re.VERBOSE | re.DOTALL,
)
_PATIENT = Patience()


@record(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """`truncated`: there are more rows than were asked for."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool


def query(compiled: Compiled, sql: str, *, limit: int | None, patience: Patience = _PATIENT) -> QueryResult:
    """Run a read-only statement; `model:x` and `source:x` in it are resolved. Raises WarehouseError and the like."""

    async def fetch(connection: Connection) -> QueryResult:
        with _helpful(sql, compiled.graph):
            result = await connection.query(_resolve(sql, compiled.graph))
        rows = await result.fetch(None if limit is None else limit + 1)
        truncated = limit is not None and len(rows) > limit
        return QueryResult(columns=result.columns, rows=rows[:limit] if truncated else rows, truncated=truncated)

    found: QueryResult = run_async(_with_connection, compiled, fetch, patience, backend="asyncio")
    return found


def query_to_file(compiled: Compiled, sql: str, path: str, *, patience: Patience = _PATIENT) -> int:
    """Write all rows to a .csv, .json, .jsonl or .parquet file, whole or not at all; returns how many.

    Raises ProjectError for another suffix or a folder that is not there.
    """
    suffix = os.path.splitext(path)[1].lower()
    folder = os.path.dirname(os.path.abspath(path))
    if suffix not in _FORMATS:
        help = "use a path ending in " + ", ".join(_FORMATS)
        raise ProjectError(Problem(code="OUTPUT", message=f"unknown file format {suffix!r}", help=help))
    if not os.path.isdir(folder):
        message = f"there is no folder {folder}"
        raise ProjectError(Problem(code="OUTPUT", message=message, help="make it, or give a path in another folder"))
    temporary = os.path.join(folder, f".{os.path.basename(path)}.{secrets.token_hex(4)}{suffix}")

    async def copy(connection: Connection) -> int:
        order = CopyOrder(rows=_resolve(sql, compiled.graph), path=temporary, format=_FORMATS[suffix])
        with _helpful(sql, compiled.graph):
            return (await make_copying(compiled.project.settings).copy_to_file(connection, order)).rows

    try:
        count: int = run_async(_with_connection, compiled, copy, patience, backend="asyncio")
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    return count


@contextlib.contextmanager
def _helpful(sql: str, graph: Graph) -> Iterator[None]:
    """A statement that fails and holds a name the project does not have is told the nearest ones.

    Only then: `FROM model:orders` is also how DuckDB gives the table `orders` an alias.
    """
    try:
        yield
    except WarehouseError as error:
        unknown = next((name for name in _names(sql) if name not in graph.nodes), None)
        if unknown is None or error.help:
            raise
        kind = unknown.partition(":")[0]
        nearest = NearestName(str(node) for node in graph.nodes if node.startswith(f"{kind}:"))
        help = nearest.help(unknown, f"`sqb list {kind}:*` shows every {kind}")
        raise WarehouseError(f"{error}\nthis project has no {unknown}", help=help, sql=error.sql) from error


def _names(sql: str) -> Iterator[str]:
    return (f"{found['kind']}:{found['name']}" for found in _NAMES.finditer(sql) if found["kind"])


def _resolve(sql: str, graph: Graph) -> str:
    def replace(match: re.Match[str]) -> str:
        node = graph.nodes.get(NodeId(f"{match['kind']}:{match['name']}")) if match["kind"] else None
        if node is None:
            return match[0]
        if node.kind is NodeKind.SOURCE and node.sql is not None:
            return render_source_expression(node.sql)
        assert node.relation is not None
        return quote_relation(node.relation)

    return _NAMES.sub(replace, sql)


async def _with_connection(compiled: Compiled, work: Callable[[Connection], Awaitable[Any]], patience: Patience) -> Any:
    settings = compiled.project.settings
    access = make_access(settings, "sqb query", patience)
    try:
        await access.wait_until_readable()
        warehouse = make_warehouse(settings, compiled.project.root)
        if not warehouse.exists():
            raise WarehouseUnreachable("nothing was built into this target yet", help="run `sqb build` first")
        await access.open(warehouse, read_only=True)
        connection = warehouse.connect()
        try:
            return await work(connection)
        finally:
            with anyio.CancelScope(shield=True):
                await connection.close()
    finally:
        await access.close()
