"""Audits: a query for rows that must not be. Some of those it finds are shown, all are counted."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Container, Sequence
from typing import Any

from sqlbuild.domain.graph import Graph, Node, stops_what_comes_after
from sqlbuild.domain.ids import NodeId, Relation, node_id
from sqlbuild.domain.nodes import Audit, RunScope, Severity
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.results import ErrorFacts, Status, Verdict
from sqlbuild.errors import AuditFailed, WarehouseError
from sqlbuild.interfaces.warehouse import Connection, Extent, Warehouse
from sqlbuild.runner.outcomes import Checked
from sqlbuild.runner.plain_json import plain_json_text
from sqlbuild.sql.rendering import quote_relation

SHOWN_ROWS = 3
SHOWN_COLUMNS = 12
SHOWN_CHARACTERS = 120
"""Of one value."""
SHOWN_NAMES = 5

_LINE = pattern(r"\bLINE (\d+):")


class AuditRunner:
    """Runs the audits of one run, which has the nodes `in_run`; `staged_relation` tells what a model has staged that waits for its gates."""

    def __init__(
        self,
        graph: Graph,
        in_run: Container[NodeId],
        warehouse: Warehouse,
        max_bytes: int,
        staged_relation: Callable[[NodeId], Relation | None] = lambda _node: None,
    ) -> None:
        self._graph = graph
        self._in_run = in_run
        self._warehouse = warehouse
        self._max_bytes = max_bytes
        self._staged_relation = staged_relation

    async def run(self, node: Node) -> Checked:
        """Raises WarehouseError: an audit that cannot be asked has not passed, whatever its severity."""
        audit = _audit(node)
        target = None if audit.target is None else node_id(audit.target.kind, audit.target.name)
        staged = None if target is None else self._staged_relation(target)
        connection = self._warehouse.connect()
        try:
            found = await _look(connection, audit, _sql(node, staged))
        finally:
            await connection.close()
        return _outcome(audit, found, self._max_bytes)

    async def look(self, model: Node, connection: Connection, staged: Relation, is_delta: bool) -> None:
        """Let the audits of severity error in the run look at something that `model` has staged, one after the other.

        For a node that stages several things and goes on by itself, over its own connection. `is_delta`: only rows that come to the table are
        staged, which audits with the run scope `final` do not look at. Raises AuditFailed, which names all that have
        found something, and WarehouseError.
        """
        failed: list[NodeId] = []
        told: list[str] = []
        nodes = [self._graph.nodes[each] for each in self._graph.audits.get(model.id, ()) if each in self._in_run]
        asked = [node for node in nodes if stops_what_comes_after(node) and not (is_delta and _only_final(node))]
        for node in asked:
            found = await _look(connection, _audit(node), _sql(node, staged))
            if found.count:
                failed.append(node.id)
                told.append(f"{_audit(node).short_name}: {found.told()}")
        if failed:
            error = refused(model, tuple(failed), len(asked))
            raise AuditFailed("\n".join((str(error.args[0]), *told)), help=error.help)


def refused(model: Node, gates: Sequence[NodeId], asked: int) -> AuditFailed:
    """Why what a model has staged did not take effect."""
    names = [gate.partition(":")[2].removeprefix(f"{model.name}.") for gate in gates]
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    of = f"{len(names):,} of {asked:,} audits" if asked > 1 else "its audit"
    return AuditFailed(
        f"{of} did not pass: {', '.join(names[:SHOWN_NAMES])}{more}; what was there before stays",
        help="correct the data, the query or the audit, then `sqb retry`",
    )


class _Found:
    """The violations: how many, and the first of them."""

    def __init__(self, columns: Sequence[str] = (), rows: Sequence[Sequence[Any]] = (), count: int = 0) -> None:
        self.columns = columns
        self.rows = rows
        self.count = count

    def told(self) -> str:
        """As text: how many, then a line for each that is shown."""
        head = "1 row violates it" if self.count == 1 else f"{self.count:,} rows violate it"
        lines = [self._row_text(row) for row in self.rows]
        if self.count > len(self.rows):
            head += ", for example"
        return "\n".join((f"{head}:", *(f"  {line}" for line in lines)))

    def _row_text(self, row: Sequence[Any]) -> str:
        shown = [
            f"{column}={_value_text(value)}"
            for column, value in list(zip(self.columns, row, strict=False))[:SHOWN_COLUMNS]
        ]
        left = len(self.columns) - SHOWN_COLUMNS
        return " ".join((*shown, *([f"({left} more columns)"] if left > 0 else ())))

    def sample(self) -> list[dict[str, object]]:
        return [
            {column: _plain(value) for column, value in zip(self.columns[:SHOWN_COLUMNS], row, strict=False)}
            for row in self.rows
        ]


async def _look(connection: Connection, audit: Audit, sql: str) -> _Found:
    try:
        counted = await connection.query(f'SELECT count(*) FROM ({sql}\n) AS "violations"', extent=Extent.WHOLE)
        count = int((await counted.fetch())[0][0])
        if not count:
            return _Found()
        query = f'SELECT * FROM ({sql}\n) AS "violations" LIMIT {SHOWN_ROWS}'
        result = await connection.query(query, extent=Extent.WHOLE)
        rows = await result.fetch()
    except WarehouseError as error:
        raise _placed(error, audit, sql) from error
    return _Found(result.columns, rows, count)


def _outcome(audit: Audit, found: _Found, max_bytes: int) -> Checked:
    if not found.count:
        payload = plain_json_text(
            {"verdict": Verdict.PASS.value, "message": None, "violations": 0}, "payload", max_bytes
        )
        return Checked(Status.SUCCEEDED, payload, None, None)
    warns = audit.severity is Severity.WARN
    message = found.told()
    said: dict[str, object] = {
        "verdict": (Verdict.WARN if warns else Verdict.FAIL).value,
        "message": message.partition("\n")[0].removesuffix(":"),
        "violations": found.count,
    }
    payload = plain_json_text({**said, "sample": found.sample()}, "payload", 1 << 62)
    if payload is not None and len(payload.encode()) > max_bytes:
        payload = plain_json_text(said, "payload", max_bytes)
    error = ErrorFacts(type="AuditFailed", message=message, path=audit.place.path, line=audit.place.line)
    return Checked(Status.WARNED if warns else Status.FAILED, payload, None, error)


def _audit(node: Node) -> Audit:
    assert isinstance(node.declaration, Audit)
    return node.declaration


def _only_final(node: Node) -> bool:
    return _audit(node).run_scope is RunScope.FINAL


def _sql(node: Node, staged: Relation | None) -> str:
    assert node.sql is not None
    return node.sql if staged is None or not node.around_target else quote_relation(staged).join(node.around_target)


def _value_text(value: object) -> str:
    text = repr(value) if isinstance(value, str) else "NULL" if value is None else str(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."


def _plain(value: object) -> object:
    """As JSON can hold it."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if value == value and abs(value) != float("inf") else str(value)
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case decimal.Decimal():
            return str(value)
        case str():
            text = value.replace("\0", "\ufffd").encode(errors="replace").decode()
        case _:
            text = str(value).replace("\0", "\ufffd").encode(errors="replace").decode()
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."


def _placed(error: WarehouseError, audit: Audit, sql: str) -> WarehouseError:
    """The same error with the line of the audit's file in the place of the line of the statement."""
    message = str(error.args[0]) if error.args else ""
    begin = audit.sql_place
    found = _LINE.search(message)
    start = error.sql.find(sql) if found else -1
    if found is not None and start >= 0 and begin.path and not audit.has_macros:
        line = int(found[1]) - error.sql.count("\n", 0, start) + (begin.line or 1) - 1
        message = f"{message[: found.start()]}{begin.path}:{line}:{message[found.end() :]}"
    return WarehouseError(message, help=error.help, sql=error.sql, transient=error.transient)
