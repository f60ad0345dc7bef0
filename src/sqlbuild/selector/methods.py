"""What each way of naming nodes means on a graph and its past."""

from __future__ import annotations

import difflib
import fnmatch
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import assert_never, cast

from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import NodeId, NodeKind, name_of, node_id
from sqlbuild.domain.nodes import UnitTest
from sqlbuild.domain.past import Past
from sqlbuild.domain.results import FAILURES, Status
from sqlbuild.errors import SelectionError
from sqlbuild.selector.grammar import KindWord, Match, State

_GLOB_SIGNS = frozenset("*?[")
_MOST_PROPOSALS = 3


class NodeFinder:
    """Finds nodes of one graph; what it needs to look up is indexed once, when first asked for."""

    def __init__(self, graph: Graph, past: Past) -> None:
        self._graph = graph
        self._past = past

    def find(self, match: Match) -> set[NodeId]:
        """The nodes that `match` names, sources among them.

        Raises SelectionError if it names something the project does not have. A state or result that no node has,
        and `kind:*`, name nothing without being wrong.
        """
        value = match.value
        match match.method:
            case "name":
                return self._by_name(value)
            case "tag":
                return _labelled(self._tags, value, "tag")
            case "group":
                return _labelled(self._groups, value, "group")
            case "path":
                return self._by_path(value)
            case "state":
                return self._by_state(cast(State, value))
            case "result":
                return self._by_result(Status(value))
            case "source" | "model" | "function" | "task" | "asset" | "seed" | "loader" | "check" | "test" | "audit":
                return self._by_kind(match.method, value)
            case _:
                assert_never(match.method)

    @functools.cached_property
    def _names(self) -> dict[str, list[NodeId]]:
        names = _index((node.name, node.id) for node in self._graph.nodes.values())
        for block, cases in self._blocks.items():
            names.setdefault(block, cases)
        return names

    @functools.cached_property
    def _blocks(self) -> dict[str, list[NodeId]]:
        """Name of a unit test -> its cases."""
        declared = ((node.id, node.declaration) for node in self._graph.nodes.values())
        return _index((test.block, id) for id, test in declared if isinstance(test, UnitTest) and test.case is not None)

    @functools.cached_property
    def _tags(self) -> dict[str, list[NodeId]]:
        return _index((tag, node.id) for node in self._graph.nodes.values() for tag in node.tags)

    @functools.cached_property
    def _groups(self) -> dict[str, list[NodeId]]:
        nodes = self._graph.nodes.values()
        return _index((group, node.id) for node in nodes if (group := node.group) is not None)

    @functools.cached_property
    def _paths(self) -> dict[str, list[NodeId]]:
        return _index((node.place.path, node.id) for node in self._graph.nodes.values())

    def _by_name(self, value: str) -> set[NodeId]:
        if value not in self._names and _is_glob(value):
            found = _matching(self._names, _glob(value))
            # A test is meant by a pattern of names only if nothing else is.
            found = {id for id in found if self._graph.nodes[id].kind is not NodeKind.TEST} or found
            if not found and value != "*":
                raise SelectionError(f"no name in this project matches {value!r}", help=self._name_help(value))
            return found
        if value not in self._names:
            raise SelectionError(f"nothing in this project is called {value!r}", help=self._name_help(value))
        return set(self._names[value])

    def _by_kind(self, kind: KindWord, value: str) -> set[NodeId]:
        exact = node_id(kind, value)
        if exact in self._graph.nodes:
            return {exact}
        names = {name_of(id): [id] for id in self._graph.nodes if id.startswith(f"{kind}:")}
        if kind == "test":
            if value in self._blocks:
                return set(self._blocks[value])
            names |= self._blocks
        found = _matching(names, _glob(value)) if _is_glob(value) else set()
        if found or value == "*":
            return found
        verb = "matches" if _is_glob(value) else "is called"
        ending = "" if names else f": this project has no {kind}s"
        elsewhere = self._names.get(value)
        help = f"there is {elsewhere[0]!r}" if elsewhere else _did_you_mean(value, names) or self._name_help(value)
        raise SelectionError(f"no {kind} {verb} {value!r}{ending}", help=help)

    def _by_path(self, value: str) -> set[NodeId]:
        if not value:
            return set(self._graph.nodes)
        if value in self._paths:
            return set(self._paths[value])
        folder = f"{value}/"
        found = _matching(self._paths, lambda path: path.startswith(folder))
        if not found and _is_glob(value):
            is_file, is_inside = _glob(value), _glob(f"{value}/*")
            found = _matching(self._paths, lambda path: is_file(path) or is_inside(path))
        if not found:
            files_and_folders = {path[:end] for path in self._paths for end in _ends_of_parts(path)}
            help = _did_you_mean(value, files_and_folders) or (
                "a path is a folder or a file relative to the project root, for example 'models/marts'"
            )
            raise SelectionError(f"no node is declared under {value!r}", help=help)
        return found

    def _by_state(self, state: State) -> set[NodeId]:
        match state:
            case "new":
                return {node for node in self._that_run() if not self._has_success(node)}
            case "changed":
                return {node for node in self._that_run() if self._has_success(node) and self._has_changed(node)}
            case "failed":
                stored = self._past.nodes
                return {node for node in self._that_run() if node in stored and stored[node].last_status in FAILURES}
            case _:
                assert_never(state)

    def _that_run(self) -> Iterable[NodeId]:
        return (node.id for node in self._graph.nodes.values() if node.kind is not NodeKind.SOURCE)

    def _has_success(self, node: NodeId) -> bool:
        stored = self._past.nodes.get(node)
        return stored is not None and stored.last_success_run_id is not None

    def _has_changed(self, node: NodeId) -> bool:
        stored = self._past.nodes[node].last_success_fingerprint
        return bool(self._graph.nodes[node].fingerprint.changed_parts(stored))

    def _by_result(self, status: Status) -> set[NodeId]:
        wanted = FAILURES if status is Status.FAILED else {status}
        return {node for node, ended in self._past.last_run().items() if ended in wanted and node in self._graph.nodes}

    def _name_help(self, value: str) -> str:
        ending = f"/{value}"
        same_file = next((path for path in self._paths if path.endswith(ending)), None)
        if same_file is not None:
            return f"to select by file write its path: {same_file!r}"
        return _did_you_mean(value, self._names) or "'sqb list' shows every name"


def _index(pairs: Iterable[tuple[str, NodeId]]) -> dict[str, list[NodeId]]:
    index: dict[str, list[NodeId]] = {}
    for key, node in pairs:
        index.setdefault(key, []).append(node)
    return index


def _labelled(index: Mapping[str, list[NodeId]], value: str, what: str) -> set[NodeId]:
    if value in index:
        return set(index[value])
    found = _matching(index, _glob(value)) if _is_glob(value) else set()
    if not found:
        help = _did_you_mean(value, index) or (
            f"the {what}s of this project are {', '.join(sorted(index)[:10])}" if index else f"no node has a {what}"
        )
        raise SelectionError(f"no node has the {what} {value!r}", help=help)
    return found


def _matching(index: Mapping[str, list[NodeId]], accepts: Callable[[str], object]) -> set[NodeId]:
    return {node for key, nodes in index.items() if accepts(key) for node in nodes}


def _is_glob(value: str) -> bool:
    return not _GLOB_SIGNS.isdisjoint(value)


def _glob(pattern: str) -> Callable[[str], object]:
    return re.compile(fnmatch.translate(pattern)).match


def _ends_of_parts(path: str) -> Iterable[int]:
    return (*(place for place, sign in enumerate(path) if sign == "/"), len(path))


def _did_you_mean(value: str, known: Iterable[str]) -> str:
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(value.lower(), by_lower, n=_MOST_PROPOSALS)
    return f"did you mean {' or '.join(repr(by_lower[name]) for name in near)}?" if near else ""
