"""What `sqb lineage` is asked for, found in a compiled project."""

from __future__ import annotations

import difflib
from typing import Any

from sqlbuild.app.live_runs import known_of
from sqlbuild.app.one_node import one_node
from sqlbuild.app.options import Compiled
from sqlbuild.artifacts.lineage_texts import FORMATS, lineage_document, lineage_tree
from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeKind, node_id
from sqlbuild.domain.lineage import Direction, Lineage, Point
from sqlbuild.domain.past import Past
from sqlbuild.domain.selection import Selection
from sqlbuild.errors import SelectionError
from sqlbuild.selector.select_nodes import select_only
from sqlbuild.selector.trace_lineage import column_called, lineage_within, trace_lineage

MAX_NAMES = 8


def lineage_of(compiled: Compiled, target: str, direction: Direction, depth: int | None) -> Lineage:
    """Around `NODE` or `NODE.COLUMN`. Raises SelectionError for a node or column that there is not."""
    return trace_lineage(compiled.graph, _point(compiled, known_of(compiled).past, target), direction, depth)


def lineage_among(compiled: Compiled, selection: Selection) -> Lineage:
    """Between the nodes of a selection. Raises SelectionError if it is empty."""
    chosen = select_only(compiled.graph, known_of(compiled).past, selection)
    if not chosen and not selection.allow_empty:
        raise SelectionError("the selection is empty", help="`sqb list` shows what there is")
    return lineage_within(compiled.graph, chosen)


def document_of(compiled: Compiled, lineage: Lineage, direction: Direction | None) -> dict[str, Any]:
    """For JSON; `direction` is None where a selection was asked for."""
    return lineage_document(compiled.graph, lineage, None if direction is None else direction.value)


def lines_of(compiled: Compiled, lineage: Lineage, format: str) -> list[str]:
    """`format` is tree, list, mermaid or dot."""
    return lineage_tree(compiled.graph, lineage) if format == "tree" else FORMATS[format](lineage)


def _point(compiled: Compiled, past: Past, target: str) -> Point:
    name, dot, column = target.rpartition(".")
    names = {node.name for node in compiled.graph.nodes.values()}
    if not dot or target.partition(":")[2] in names or target in names:
        return Point(one_node(compiled, past, target).id)
    node = one_node(compiled, past, name)
    # What a loader fills is read as the source of its name.
    node = compiled.graph.nodes.get(node_id(NodeKind.SOURCE, node.name), node) if node.kind is NodeKind.LOADER else node
    is_postgres = compiled.project.settings.target.connection.adapter != "duckdb"
    found = column_called(node, column, case_sensitive=is_postgres)
    if found is None:
        raise _unknown_column(node, column)
    return Point(node.id, found)


def _unknown_column(node: Node, column: str) -> SelectionError:
    names = list(dict.fromkeys([*(each.name for each in node.columns or ()), *node.column_lineage]))
    if not names:
        help = "; ".join(node.notes) or "declare its columns where it is declared"
        return SelectionError(f"the columns of {node.id} are not known", help=help)
    near = difflib.get_close_matches(column, names, n=1)
    shown = ", ".join(names[:MAX_NAMES]) + (", ..." if len(names) > MAX_NAMES else "")
    help = f"did you mean {near[0]}?" if near else f"it has {shown}"
    return SelectionError(f"{node.id} has no column {column!r}", help=help)
