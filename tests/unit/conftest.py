"""Literal graphs for the tests of the pure phases; examples of Hypothesis may take as long as the machine needs."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping

import pytest
from hypothesis import settings

from sqlbuild.domain.graph import Fingerprint, Graph, Node
from sqlbuild.domain.ids import NodeId, NodeKind, Place, Relation, kind_of, name_of
from sqlbuild.domain.ids import node_id as make_node_id
from sqlbuild.domain.nodes import (
    Asset,
    Audit,
    Check,
    Declaration,
    Function,
    Loader,
    Model,
    PythonFunction,
    Source,
    Task,
    UnitTest,
)
from sqlbuild.refs import Reference

settings.register_profile("unit", settings(deadline=None))
settings.load_profile("unit")

_FOLDERS = {
    NodeKind.SOURCE: ("sources", "yml"),
    NodeKind.MODEL: ("models", "sql"),
    NodeKind.FUNCTION: ("functions/sql", "sql"),
    NodeKind.TASK: ("tasks", "py"),
    NodeKind.ASSET: ("assets", "py"),
    NodeKind.LOADER: ("loaders", "py"),
    NodeKind.CHECK: ("checks", "py"),
    NodeKind.TEST: ("tests/unit", "sql"),
    NodeKind.AUDIT: ("models", "sql"),
}
_RECORDS = {NodeKind.TASK: Task, NodeKind.ASSET: Asset, NodeKind.LOADER: Loader, NodeKind.CHECK: Check}


def _nothing(ctx: object) -> None:
    """Does nothing."""


def _fingerprint(code: str = "c0", settings: str = "50", upstream: str = "00") -> Fingerprint:
    return Fingerprint(code=code, settings=settings, upstream=upstream, total=f"{code}{settings}{upstream}")


def _declaration(node_id: NodeId, place: Place, values: Mapping[str, object]) -> Declaration:
    name = name_of(node_id)
    match kind_of(node_id):
        case NodeKind.SOURCE:
            return Source(name=name, place=place, **{"table": name, **values})
        case NodeKind.MODEL:
            return Model(name=name, place=place, **{"sql": "SELECT 1", "sql_line": 1, **values})
        case NodeKind.FUNCTION:
            return Function(name=name, place=place, **{"sql": "1", "sql_line": 1, "returns": "INTEGER", **values})
        case NodeKind.TEST:
            return UnitTest(name=name, place=place, **{"block": name, **values})
        case NodeKind.AUDIT:
            target = Reference(*str(values["target"]).split(":")) if "target" in values else None  # type: ignore[arg-type]
            given = {"definition": name, "sql": "SELECT 1", "sql_place": Place("", 1, 1), **values, "target": target}
            return Audit(name=name, place=place, **given)
        case kind:
            own = {key: value for key, value in values.items() if key in ("columns", "column_lineage", "severity")}
            rest = {key: value for key, value in values.items() if key not in own}
            common = PythonFunction(**{"function": _nothing, "is_async": False, "name": name, "place": place, **rest})
            return _RECORDS[kind](declared=common, **own)


def _make_node(
    id: str,
    depends_on: Iterable[str] = (),
    *,
    path: str | None = None,
    fingerprint: Fingerprint | None = None,
    compiled: Mapping[str, object] | None = None,
    **declared: object,
) -> Node:
    """A node by id; `declared` goes into its declaration, `compiled` into the node itself."""
    node_id = NodeId(id)
    kind, name = kind_of(node_id), name_of(node_id)
    folder, suffix = _FOLDERS[kind]
    place = Place(path or f"{folder}/{name}.{suffix}", 1)
    values = {
        "id": node_id,
        "kind": kind,
        "name": name,
        "place": place,
        "declaration": _declaration(node_id, place, declared),
        "depends_on": tuple(NodeId(upstream) for upstream in depends_on),
        "relation": Relation("", "main", name) if kind in (NodeKind.MODEL, NodeKind.SOURCE) else None,
        "fingerprint": fingerprint or _fingerprint(),
    }
    return Node(**{**values, **(compiled or {})})


def _make_graph(*nodes: Node | Mapping[str, Iterable[str]]) -> Graph:
    """A graph of nodes, or of a mapping from ids to upstream ids; sorts them topologically."""
    given: list[Node] = []
    for entry in nodes:
        given += [entry] if isinstance(entry, Node) else [_make_node(id, ups) for id, ups in entry.items()]
    downstream: dict[NodeId, list[NodeId]] = {node.id: [] for node in given}
    waiting = {node.id: len(set(node.depends_on)) for node in given}
    for node in given:
        for upstream in dict.fromkeys(node.depends_on):
            downstream[upstream].append(node.id)
    place = {node.id: index for index, node in enumerate(given)}
    ready = [index for node, index in place.items() if waiting[node] == 0]
    ordered: dict[NodeId, Node] = {}
    while ready:
        node = given[heapq.heappop(ready)]
        ordered[node.id] = node
        for child in downstream[node.id]:
            waiting[child] -= 1
            if waiting[child] == 0:
                heapq.heappush(ready, place[child])
    assert len(ordered) == len(given), "the graph has a cycle or a node twice"
    audits: dict[NodeId, tuple[NodeId, ...]] = {}
    for node in ordered.values():
        if isinstance(node.declaration, Audit) and node.declaration.target is not None:
            target = make_node_id(node.declaration.target.kind, node.declaration.target.name)
            audits[target] = (*audits.get(target, ()), node.id)
    return Graph(
        nodes=ordered, downstream={node: tuple(children) for node, children in downstream.items()}, audits=audits
    )


@pytest.fixture(scope="session")
def make_fingerprint() -> Callable[..., Fingerprint]:
    """`make_fingerprint(code=..., settings=..., upstream=...)`; all have defaults."""
    return _fingerprint


@pytest.fixture(scope="session")
def make_node() -> Callable[..., Node]:
    return _make_node


@pytest.fixture(scope="session")
def make_graph() -> Callable[..., Graph]:
    return _make_graph
