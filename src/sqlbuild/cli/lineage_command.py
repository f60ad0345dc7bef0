from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import write_document, write_lines
from sqlbuild.cli.selection_options import Exclude, selection_of
from sqlbuild.domain.lineage import Direction

if TYPE_CHECKING:
    from sqlbuild.domain.lineage import Lineage


def lineage(
    options: SharedOptions,
    node: Annotated[
        str | None, typer.Argument(metavar="[NODE[.COLUMN]]", help="A node, or one of its columns.", show_default=False)
    ] = None,
    direction: Annotated[
        Direction, typer.Option("--direction", "-d", help="What it is made of, what is made of it, or both.")
    ] = Direction.UPSTREAM,
    depth: Annotated[str, typer.Option("--depth", metavar="N|all", help="How many steps to follow.")] = "all",
    format: Annotated[
        Literal["tree", "list", "json", "mermaid", "dot"], typer.Option("--format", "-f", help="What to print.")
    ] = "tree",
    select: Annotated[
        list[str] | None,
        typer.Option("--select", "-s", metavar="SELECTOR", help="Instead of one node: what lies between these."),
    ] = None,
    exclude: Exclude = None,
) -> int:
    """Show what a node or column is made of, and what is made of it. Reads only the project."""
    if (node is None) == (select is None):
        raise typer.BadParameter("give a node, or NODE.COLUMN, or --select: one of them")
    if exclude and select is None:
        raise typer.BadParameter("--exclude only goes with --select")
    from sqlbuild.app.lineage import document_of, lineage_among, lineage_of, lines_of
    from sqlbuild.cli.open_project import open_project

    steps = _steps(depth)
    compiled = open_project(options)
    if node is None:
        found = lineage_among(compiled, selection_of(None, select, exclude))
        format = "list" if format == "tree" else format
    else:
        found = lineage_of(compiled, node, direction, steps)
    if options.json or format == "json":
        document = document_of(compiled, found, None if node is None else direction)
        write_document(options.masker.plain(document))
        return 0
    lines = lines_of(compiled, found, format)
    if format == "tree":
        lines += _remarks(found, direction)
    write_lines(map(options.masker.text, lines))
    return 0


def _remarks(found: Lineage, direction: Direction) -> list[str]:
    alone = not found.edges and not found.notes
    if alone and found.focus and found.focus[0].column is not None:
        return ["  no column is part of it" if direction is Direction.UPSTREAM else "  no other column is tied to it"]
    return [f"note: {note}" for note in found.notes]


def _steps(depth: str) -> int | None:
    if depth == "all":
        return None
    if not depth.isdecimal() or int(depth) < 1:
        raise typer.BadParameter("--depth is a whole number from 1, or all")
    return int(depth)
