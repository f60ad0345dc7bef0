"""`target/state.json`: what the warehouse said at the end of the last run, for commands that must not open it.

It is a convenience that may be deleted, be old or be damaged: then there is nothing to tell.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.results import NodeResult, RunResult, Status
from sqlbuild.errors import EngineError
from sqlbuild.failpoints import failpoint
from sqlbuild.state.node_result_json import dumps_bytes, encoded, loads, result_from_fields, result_to_fields, storable

SCHEMA_VERSION = 1

MAX_RESULTS_PER_NODE = 5
MAX_RESULTS = 10_000
"""Larger projects keep fewer results of each node, at least the last one: the file is read by every `sqb list`."""
MAX_TEXT = 4_096
"""Longer payloads and metadata stay in the warehouse only."""

_MALFORMED = (ValueError, TypeError, KeyError, AttributeError)


def write_past(path: str, past: Past, run: RunResult) -> None:
    """Replace the file by `past`, read after `run`, and by the results of `run` before those that it already had.

    Raises EngineError when it cannot be written; the old file is then still there.
    """
    per_node = max(1, min(MAX_RESULTS_PER_NODE, MAX_RESULTS // max(1, len(past.nodes))))
    replaces_all = per_node == 1 and run.results.keys() >= past.nodes.keys()
    before = None if replaces_all else _read(path, run.target)
    kept = before["results"] if before is not None else {}
    unfinished = f"{path}.{os.getpid()}.tmp"
    try:
        with open(unfinished, "wb") as file:
            file.writelines(_pieces(past, run, kept, per_node))
        failpoint("state_file.written")
        os.replace(unfinished, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise EngineError(
            f"{path} cannot be written: {error.strerror or error}", help="free space or make the folder writable"
        ) from error


def _pieces(past: Past, run: RunResult, kept: Mapping[NodeId, list[Any]], per_node: int) -> Iterator[bytes]:
    """The document, node by node: as a whole it would take more memory than anything else at the end of a large run."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "target": run.target,
        "last_run_id": past.last_run_id,
        "source_versions": dict(past.source_versions),
        "relations": sorted([relation.database, relation.schema, relation.name] for relation in past.relations),
    }
    yield dumps_bytes(head)[:-1]
    yield b',"nodes":{'
    yield from _entries((node, list(stored)) for node, stored in past.nodes.items())
    yield b'},"results":{'
    yield from _entries((node, results[:per_node]) for node, results in _results(past, run, kept))
    yield b"}}"


def _results(past: Past, run: RunResult, kept: Mapping[NodeId, list[Any]]) -> Iterator[tuple[NodeId, list[Any]]]:
    for node, results in kept.items():
        if node in past.nodes and node not in run.results:
            yield node, results
    for node, result in run.results.items():
        yield node, [_result_json(result, run.records.get(node)), *kept.get(node, ())]


def _entries(entries: Iterable[tuple[NodeId, list[Any]]]) -> Iterator[bytes]:
    separator = b""
    for node, values in entries:
        yield b"%s%s:%s" % (separator, dumps_bytes(node), _bytes(values))
        separator = b","


def _bytes(values: list[Any]) -> bytes:
    try:
        return dumps_bytes(values)
    except (TypeError, UnicodeEncodeError):
        return dumps_bytes([storable(value) if isinstance(value, dict) else value for value in values])


def read_past(path: str, target: str) -> tuple[Past, Mapping[NodeId, tuple[NodeResult, ...]]]:
    """The past of `target` and the last results of its nodes, newest first; both empty without a readable file.

    Results are decoded when they are looked up.
    """
    document = _read(path, target)
    if document is None:
        return Past(), {}
    try:
        nodes = {NodeId(node): _past_node(fields) for node, fields in document["nodes"].items()}
        relations = frozenset(Relation(*parts) for parts in document["relations"])
        last_run_id = document["last_run_id"]
        versions = {NodeId(source): str(text) for source, text in document.get("source_versions", {}).items()}
    except _MALFORMED:
        return Past(), {}
    past = Past(nodes=nodes, relations=relations, last_run_id=last_run_id, source_versions=versions)
    return past, _StoredResults(document["results"])


class _StoredResults(Mapping[NodeId, tuple[NodeResult, ...]]):
    def __init__(self, records: Mapping[str, list[dict[str, Any]]]) -> None:
        self._records = records

    def __getitem__(self, node: NodeId) -> tuple[NodeResult, ...]:
        records = self._records[node]
        try:
            return tuple(map(result_from_fields, records))
        except _MALFORMED:
            return ()

    def __iter__(self) -> Iterator[NodeId]:
        return map(NodeId, self._records)

    def __len__(self) -> int:
        return len(self._records)


def _read(path: str, target: str) -> dict[str, Any] | None:
    try:
        document = loads(Path(path).read_bytes())
        if document["schema_version"] != SCHEMA_VERSION or document["target"] != target:
            return None
        results = {str(node): list(records) for node, records in document["results"].items()}
    except (OSError, *_MALFORMED):
        return None
    return {**document, "results": results}


def _result_json(result: NodeResult, record: str | None) -> object:
    if record is not None and len(result.payload or "") <= MAX_TEXT and len(result.metadata or "") <= MAX_TEXT:
        return encoded(record)
    return _result_fields(result)


def _result_fields(result: NodeResult) -> dict[str, Any]:
    dropped = [
        f"the {name} of {len(text):,} characters is kept in the warehouse only"
        for name, text in (("payload", result.payload), ("metadata", result.metadata))
        if text is not None and len(text) > MAX_TEXT
    ]
    if dropped:
        result = dataclasses.replace(
            result,
            payload=_short(result.payload),
            metadata=_short(result.metadata),
            warnings=(*result.warnings, *dropped),
        )
    return result_to_fields(result)


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= MAX_TEXT else None


def _past_node(fields: list[Any]) -> PastNode:
    status, run_id, success_run_id, fingerprint, success_at, seconds = fields
    return PastNode(
        last_status=Status(status),
        last_run_id=run_id,
        last_success_run_id=success_run_id,
        last_success_fingerprint=fingerprint,
        last_success_at=success_at,
        typical_seconds=seconds,
    )
