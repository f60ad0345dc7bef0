"""A node's result as one flat JSON object, the same text for the journal and the warehouse.

Its fields are the columns of `_sqlbuild_node_results`; what is None or empty is left out. Times are ISO 8601 in UTC to
the microsecond, without an offset. `payload`, `metadata`, `because_of`, `retried` and `warnings` are JSON text.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.results import ErrorFacts, NodeResult, SkipMode, Status
from sqlbuild.domain.utc_text import utc_text

try:
    import orjson
except ImportError:  # the extra `fast` is not installed
    orjson = None  # type: ignore[assignment]

RESULT_COLUMNS: Mapping[str, str] = {
    "run_id": "VARCHAR",
    "node_id": "VARCHAR",
    "node_type": "VARCHAR",
    "node_name": "VARCHAR",
    "attempt": "INTEGER",
    "status": "VARCHAR",
    "materialized": "BOOLEAN",
    "payload": "VARCHAR",
    "metadata": "VARCHAR",
    "error_type": "VARCHAR",
    "error_message": "VARCHAR",
    "error_traceback": "VARCHAR",
    "error_path": "VARCHAR",
    "error_line": "INTEGER",
    "error_help": "VARCHAR",
    "skip_reason": "VARCHAR",
    "skip_mode": "VARCHAR",
    "because_of": "VARCHAR",
    "started_at": "TIMESTAMP",
    "finished_at": "TIMESTAMP",
    "duration": "DOUBLE PRECISION",
    "waited": "DOUBLE PRECISION",
    "fingerprint": "VARCHAR",
    "retried": "VARCHAR",
    "warnings": "VARCHAR",
}
"""Field -> SQL type."""
LATER_COLUMNS: Mapping[str, str] = {"exports": "VARCHAR"}
"""Written too, but only read where they are asked for: tables of an earlier sqlbuild get them when they are written to."""

Fields = Mapping[str, Any]

_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - stored times are UTC without an offset


def result_to_json(result: NodeResult) -> str:
    """Compact JSON object text. Text that no database would take (lone surrogates, NUL) is stored escaped."""
    fields = result_to_fields(result)
    try:
        text = dumps(fields)
    except (TypeError, UnicodeEncodeError):
        return dumps(storable(fields))
    return dumps(storable(fields)) if "\\u0000" in text else text


def result_from_json(text: str) -> NodeResult:
    """What `result_to_json` made. Raises ValueError or KeyError if it is something else."""
    return result_from_fields(loads(text))


def result_to_fields(result: NodeResult) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "run_id": result.run_id,
        "node_id": result.node_id,
        "node_type": result.kind,
        "node_name": result.name,
        "attempt": result.attempt,
        "status": result.status,
        "duration": result.duration,
        "waited": result.waited,
    }
    if result.fingerprint:
        fields["fingerprint"] = result.fingerprint
    if result.materialized is not None:
        fields["materialized"] = result.materialized
    if result.payload is not None:
        fields["payload"] = result.payload
    if result.metadata is not None:
        fields["metadata"] = result.metadata
    if result.exports is not None:
        fields["exports"] = result.exports
    if result.skip_reason is not None:
        fields["skip_reason"] = result.skip_reason
    if result.skip_mode is not None:
        fields["skip_mode"] = result.skip_mode
    if result.started_at is not None:
        fields["started_at"] = utc_text(result.started_at)
    if result.finished_at is not None:
        fields["finished_at"] = utc_text(result.finished_at)
    if result.error is not None:
        fields.update(_error_to_fields(result.error, "error_"))
    if result.because_of:
        fields["because_of"] = dumps(result.because_of)
    if result.retried:
        fields["retried"] = dumps([storable(_error_to_fields(error)) for error in result.retried])
    if result.warnings:
        fields["warnings"] = dumps([_storable_text(warning) for warning in result.warnings])
    return fields


def result_from_fields(fields: Fields) -> NodeResult:
    """From the JSON object, or from a row of the table by column name, where times are naive UTC datetimes."""
    get = fields.get
    skip_mode = get("skip_mode")
    return NodeResult(
        run_id=fields["run_id"],
        node_id=NodeId(fields["node_id"]),
        kind=NodeKind(fields["node_type"]),
        name=fields["node_name"],
        status=Status(fields["status"]),
        attempt=get("attempt") or 0,
        materialized=get("materialized"),
        payload=get("payload"),
        metadata=get("metadata"),
        error=_error_from_fields(fields, "error_") if get("error_type") is not None else None,
        retried=tuple(_error_from_fields(error) for error in _listed(get("retried"))),
        skip_reason=get("skip_reason"),
        skip_mode=SkipMode(skip_mode) if skip_mode is not None else None,
        because_of=tuple(NodeId(node) for node in _listed(get("because_of"))),
        started_at=time_from_text(get("started_at")),
        finished_at=time_from_text(get("finished_at")),
        duration=get("duration") or 0.0,
        waited=get("waited") or 0.0,
        fingerprint=get("fingerprint") or "",
        warnings=tuple(_listed(get("warnings"))),
        exports=get("exports"),
    )


def cursor_in(exports: str | None, key: str) -> str | None:
    """The cursor that a result's `exports` keep under a key."""
    value = loads(exports).get("cursors", {}).get(key) if exports is not None else None
    return None if value is None else str(value)


def time_from_text(value: str | datetime.datetime | None) -> float | None:
    if value is None:
        return None
    moment = datetime.datetime.fromisoformat(value) if isinstance(value, str) else value
    return (moment - _EPOCH).total_seconds()


def _error_to_fields(error: ErrorFacts, prefix: str = "") -> dict[str, Any]:
    fields: dict[str, Any] = {f"{prefix}type": error.type, f"{prefix}message": error.message}
    for name, value in (
        ("traceback", error.traceback),
        ("path", error.path),
        ("line", error.line),
        ("help", error.help),
    ):
        if value not in ("", None):
            fields[prefix + name] = value
    return fields


def _error_from_fields(fields: Fields, prefix: str = "") -> ErrorFacts:
    return ErrorFacts(
        type=fields[f"{prefix}type"],
        message=fields.get(f"{prefix}message") or "",
        traceback=fields.get(f"{prefix}traceback") or "",
        path=fields.get(f"{prefix}path") or "",
        line=fields.get(f"{prefix}line"),
        help=fields.get(f"{prefix}help") or "",
    )


def _listed(text: str | None) -> list[Any]:
    if text is None:
        return []
    listed = loads(text)
    if not isinstance(listed, list):
        raise TypeError(f"not a JSON list: {text[:100]}")
    return listed


def storable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields with lone surrogates and NUL characters escaped."""
    return {name: _storable_text(value) if isinstance(value, str) else value for name, value in fields.items()}


def _storable_text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


_plain_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def _plain_dumps(value: object) -> str:
    text = _plain_encoder.encode(value)
    if not text.isascii():
        text.encode()  # raises for lone surrogates, as the fast encoder does
    return text


def _fast_dumps(value: object) -> str:
    return orjson.dumps(value).decode()


def _plain_bytes(value: object) -> bytes:
    return _plain_encoder.encode(value).encode()


dumps: Callable[[object], str] = _plain_dumps if orjson is None else _fast_dumps
"""Compact JSON text. Raises TypeError or UnicodeEncodeError for lone surrogates."""
dumps_bytes: Callable[[object], bytes] = _plain_bytes if orjson is None else orjson.dumps
"""The same text in UTF-8, without a second copy of it in memory."""
encoded: Callable[[str], object] = json.loads if orjson is None else orjson.Fragment
"""A JSON text as a value that `dumps` writes as it is."""
loads: Callable[[str | bytes], Any] = json.loads if orjson is None else orjson.loads
