from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import write_document, write_lines
from sqlbuild.cli.selection_options import AllowEmpty, Exclude, NoPython, Select, Selectors, selection_of
from sqlbuild.cli.target_options import note_live_run
from sqlbuild.cli.text_table import table_lines

if TYPE_CHECKING:
    from sqlbuild.domain.graph import Node

SCHEMA_VERSION = 1


def list_nodes(
    options: SharedOptions,
    selectors: Selectors = None,
    select: Select = None,
    exclude: Exclude = None,
    no_python: NoPython = False,
    allow_empty: AllowEmpty = False,
    output: Annotated[
        Literal["names", "table", "json"], typer.Option("--output", "-o", help="What to print.")
    ] = "names",
) -> int:
    """List the nodes that a selection contains."""
    from sqlbuild.app import looking
    from sqlbuild.cli.open_project import open_project

    compiled = open_project(options)
    selection = selection_of(selectors, select, exclude, allow_empty=allow_empty, no_python=no_python)
    note_live_run(looking.live_run_of(compiled), options)
    nodes = [compiled.graph.nodes[id] for id in looking.select(compiled, selection)]
    if options.json or output == "json":
        document = {"schema_version": SCHEMA_VERSION, "nodes": [_document(node) for node in nodes]}
        write_document(options.masker.plain(document))
    elif output == "table":
        rows = [(node.kind, node.name, ", ".join(node.tags), str(node.place), node.description) for node in nodes]
        write_lines(map(options.masker.text, table_lines(("kind", "name", "tags", "place", "description"), rows)))
    else:
        write_lines(node.name for node in nodes)
    return 0


def _document(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "kind": node.kind,
        "name": node.name,
        "path": node.place.path,
        "line": node.place.line,
        "description": node.description,
        "tags": list(node.tags),
        "group": node.group,
        "depends_on": list(node.depends_on),
    }
