"""What is not selected is read where another target has built it."""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path

from sqlbuild.app.options import Compiled
from sqlbuild.compiler.compile_project import compile_project
from sqlbuild.compiler.relations import relation_at
from sqlbuild.compiler.resolve_refs import resolve_refs
from sqlbuild.domain.ids import NodeId, Relation
from sqlbuild.domain.nodes import Loader, Model, Seed, Source
from sqlbuild.domain.past import Past
from sqlbuild.domain.selection import Selection
from sqlbuild.domain.settings import Target
from sqlbuild.errors import SelectionError
from sqlbuild.selector.select_nodes import select_only
from sqlbuild.state.analysis_cache import FileAnalysisCache


def deferred(compiled: Compiled, selection: Selection, past: Past) -> Compiled:
    """The same project, with all that `selection` does not name read at `selection.defer_to`, if it is there.

    Read over the connection of the target that is built. Raises SelectionError for a target that cannot be read so.
    """
    settings = compiled.project.settings
    other = _target(compiled, selection.defer_to or "")
    chosen = select_only(compiled.graph, past, selection)
    resolved = resolve_refs(compiled.project)
    elsewhere: dict[NodeId, Relation] = {}
    for node, declaration in resolved.nodes.items():
        if node in chosen or not isinstance(declaration, Model | Seed | Source | Loader):
            continue
        own = relation_at(declaration, resolved, settings.target)
        there = relation_at(declaration, resolved, other)
        if there is not None and there != own and not past.lacks_relation(there):
            elsewhere[node] = there
    cache = FileAnalysisCache(Path(compiled.project.root, "target", "sql_analysis.json"))
    graph = compile_project(compiled.project, cache, elsewhere)
    # Where a node is read changes nothing of what it is; but of its sources more is known by now.
    nodes = {
        id: dataclasses.replace(node, fingerprint=compiled.graph.nodes[id].fingerprint)
        for id, node in graph.nodes.items()
    }
    return dataclasses.replace(compiled, graph=dataclasses.replace(graph, nodes=nodes))


def _target(compiled: Compiled, name: str) -> Target:
    settings = compiled.project.settings
    found = settings.targets.get(name)
    if found is None:
        near = difflib.get_close_matches(name, settings.targets, n=1)
        help = f"did you mean {near[0]!r}?" if near else f"the targets are {', '.join(sorted(settings.targets))}"
        raise SelectionError(f"--defer-to: there is no target {name!r}", help=help)
    if found.name == settings.target.name:
        raise SelectionError(f"--defer-to: {name} is the target that is built", help="name another one")
    if not _is_reachable(settings.target, found):
        raise SelectionError(
            f"--defer-to: {name} is in another database than {settings.target.name}, whose connection cannot read it",
            help="defer to a target of the same database, in a schema of its own",
        )
    return found


def _is_reachable(target: Target, other: Target) -> bool:
    """Whether a connection of `target` reads what `other` has built."""
    own, there = target.connection, other.connection
    if own.name == there.name:
        return True
    keys = ("database",) if own.adapter == "duckdb" else ("host", "port", "database", "dbname", "dsn", "service")
    same_place = all(own.options.get(key) == there.options.get(key) for key in keys)
    return own.adapter == there.adapter and same_place
