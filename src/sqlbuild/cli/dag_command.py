from __future__ import annotations

import collections
from collections.abc import Mapping

from sqlbuild.app.wording import counted, first_few
from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import write_document, write_lines
from sqlbuild.cli.target_options import note_live_run
from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeId


def dag(options: SharedOptions) -> int:
    """Summarise the graph of the project. With --json print the whole DAG document."""
    from sqlbuild.app.documents import dag_document
    from sqlbuild.app.live_runs import live_run_of
    from sqlbuild.cli.open_project import open_project

    compiled = open_project(options)
    if options.json:
        write_document(dag_document(compiled))
        return 0
    note_live_run(live_run_of(compiled), options)
    graph = compiled.graph
    kinds = collections.Counter(str(node.kind) for node in graph.nodes.values())
    starts = [node.name for node in graph.nodes.values() if not node.depends_on]
    ends = [node.name for node in graph.nodes.values() if not graph.directly_below(node.id)]
    edges = sum(len(node.depends_on) for node in graph.nodes.values())
    lines = [
        f"{compiled.project.settings.name}: {counted(len(graph.nodes), 'node')}, {counted(edges, 'edge')}",
        *(f"  {counted(number, kind)}" for kind, number in kinds.items()),
    ]
    if graph.nodes:
        lines += [
            f"starts at ({len(starts):,}): {first_few(starts, 8)}",
            f"ends at ({len(ends):,}): {first_few(ends, 8)}",
            f"longest chain: {counted(_longest_chain(compiled.graph.nodes), 'node')}",
        ]
    write_lines(lines)
    return 0


def _longest_chain(nodes: Mapping[NodeId, Node]) -> int:
    """How many nodes stand one after the other at most; `nodes` are in topological order."""
    depth: dict[NodeId, int] = {}
    for id, node in nodes.items():
        depth[id] = 1 + max((depth[upstream] for upstream in node.depends_on), default=0)
    return max(depth.values(), default=0)
