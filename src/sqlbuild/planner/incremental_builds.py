"""What a build does to an incremental model: goes on with it, builds a part of it again, or all of it. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from sqlbuild.domain.cursor_windows import read_value
from sqlbuild.domain.graph import Node
from sqlbuild.domain.incremental import NO_REFRESH, BatchLimit, CursorType, CursorValue, IncrementalBuild, Refresh
from sqlbuild.domain.nodes import Model
from sqlbuild.domain.past import PastNode
from sqlbuild.errors import SelectionError


def incremental_build(node: Node, past: PastNode | None, refresh: Refresh = NO_REFRESH) -> IncrementalBuild | None:
    """None for what is no incremental model. Raises SelectionError for bounds that are no values of its cursor."""
    model = node.declaration
    if not isinstance(model, Model) or model.incremental is None:
        return None
    grows = model.incremental
    start = end = None
    if grows.cursor is not None and grows.cursor_type is not None:
        start = _bound(node, refresh.start, grows.cursor_type, "--start-cursor")
        end = _bound(node, refresh.end, grows.cursor_type, "--end-cursor")
    limit = (
        BatchLimit(batches=refresh.most_batches) if refresh.most_batches is not None and grows.is_microbatch else None
    )
    asked = IncrementalBuild(start=start, end=end, batch_limit=limit)
    if grows.full_refresh:
        return dataclasses.replace(asked, full=True, why="full_refresh true")
    if refresh.full and grows.full_refresh is None:
        return dataclasses.replace(asked, full=True, why="--full-refresh")
    known = past.last_success_fingerprint if past is not None else None
    if known is not None and "code" in node.fingerprint.changed_parts(known):
        replay = grows.replay
        return dataclasses.replace(asked, full=replay.full, replay=replay, why=f"replay_on_change {replay}")
    return asked


def refuse_mixed_cursors(nodes: Iterable[Node], refresh: Refresh) -> None:
    """Raises SelectionError if bounds are given that cannot be of every cursor they would be for, or are for none."""
    if refresh.start is None and refresh.end is None:
        return
    types: dict[CursorType, str] = {}
    for node in nodes:
        model = node.declaration
        if isinstance(model, Model) and model.incremental is not None and model.incremental.cursor_type is not None:
            types.setdefault(model.incremental.cursor_type, node.name)
    if len(types) > 1:
        raise SelectionError(
            f"--start-cursor and --end-cursor cannot be of both {types[CursorType.TIMESTAMP]}, whose cursor is a "
            f"timestamp, and {types[CursorType.INTEGER]}, whose cursor is an integer",
            help="select models with cursors of one type",
        )
    if not types:
        raise SelectionError(
            "--start-cursor and --end-cursor are for incremental models with a cursor, and none is selected",
            help="select one, or leave them out",
        )


def _bound(node: Node, written: str | None, type_: CursorType, option: str) -> CursorValue | None:
    if written is None:
        return None
    try:
        return read_value(written, type_)
    except ValueError as error:
        raise SelectionError(f"{option}: {error} of {node.name}") from error
