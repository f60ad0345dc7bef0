"""What may stand on the two sides of a check."""

from __future__ import annotations

from collections.abc import Iterator

from sqlbuild.compiler.resolve_refs import Resolved
from sqlbuild.domain.ids import NodeId, NodeKind, kind_of, name_of, node_id
from sqlbuild.domain.nodes import place_of_declaration
from sqlbuild.errors import Problem


def check_boundaries(resolved: Resolved) -> Iterator[Problem]:
    """Nothing depends on a check, and a check looks at a source rather than at the loader that fills it."""
    for node, upstreams in resolved.depends_on.items():
        for upstream in upstreams:
            if kind_of(upstream) is NodeKind.CHECK:
                yield _after_a_check(resolved, node, upstream)
            elif kind_of(node) is NodeKind.CHECK and kind_of(upstream) is NodeKind.LOADER:
                source = node_id(NodeKind.SOURCE, name_of(upstream))
                if source in resolved.nodes:
                    yield _behind_a_source(resolved, node, upstream)


def _after_a_check(resolved: Resolved, node: NodeId, check: NodeId) -> Problem:
    kind = kind_of(node)
    article = "an" if kind is NodeKind.ASSET else "a"
    return _problem(
        resolved,
        node,
        f"{name_of(node)} depends on the check {name_of(check)}: checks come last, {article} {kind} cannot wait for one",
        "depend on what the check looks at; to stop what comes after, make it a @task that raises",
    )


def _behind_a_source(resolved: Resolved, node: NodeId, loader: NodeId) -> Problem:
    name = name_of(loader)
    return _problem(
        resolved,
        node,
        f"the check {name_of(node)} depends on the loader {name}, which fills the source of that name",
        f'check the source: depends_on=source("{name}")',
    )


def _problem(resolved: Resolved, node: NodeId, message: str, help: str) -> Problem:
    place = place_of_declaration(resolved.nodes[node])
    return Problem(code="CHECK_BOUNDARY", message=message, help=help, path=place.path, line=place.line)
