from __future__ import annotations

import collections
import os
import time
from typing import TYPE_CHECKING, Annotated

import typer

from sqlbuild.app.wording import counted, seconds_text
from sqlbuild.cli.error_report import problem_document, problem_text
from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import shown_path, write_document, write_lines

if TYPE_CHECKING:
    from sqlbuild.domain.graph import Graph

SCHEMA_VERSION = 1


def compile_project(
    options: SharedOptions,
    write_dag: Annotated[bool, typer.Option("--dag", help="Also write target/sqlbuild_dag.json.")] = False,
    dag_path: Annotated[
        str | None, typer.Option("--dag-path", metavar="PATH", help="Also write the DAG document to PATH.")
    ] = None,
) -> int:
    """Check the whole project and report every problem at once. Needs no warehouse."""
    from sqlbuild.cli.open_project import open_project

    path = None if dag_path is None else os.path.abspath(dag_path)
    started = time.monotonic()
    compiled = open_project(options)
    seconds = time.monotonic() - started
    written = None
    if write_dag or path is not None:
        from sqlbuild.app import looking

        written = looking.write_dag(compiled, path)
    if options.json:
        write_document(_document(compiled.graph, written))
        return 0
    lines = [problem_text(warning, options.has_colour()) for warning in compiled.graph.warnings]
    if not options.quiet:
        lines.append(f"{_counts_text(compiled.graph)} compiled in {seconds_text(seconds)}, no errors")
        if not compiled.graph.nodes:
            lines.append(
                "nothing was found: models are .sql files in models/, nodes .py files in assets/, tasks/ or python/"
            )
        if written is not None:
            lines.append(f"wrote {shown_path(written)}")
    write_lines(lines)
    return 0


def _counts(graph: Graph) -> dict[str, int]:
    return dict(collections.Counter(str(node.kind) for node in graph.nodes.values()))


def _counts_text(graph: Graph) -> str:
    text = counted(len(graph.nodes), "node")
    kinds = ", ".join(counted(number, kind) for kind, number in _counts(graph).items())
    return f"{text} ({kinds})" if kinds else text


def _document(graph: Graph, dag_path: str | None) -> dict[str, object]:
    return {
        "schema_version": SCHEMA_VERSION,
        "nodes": {"total": len(graph.nodes), "by_kind": _counts(graph)},
        "warnings": [problem_document(warning) for warning in graph.warnings],
        "problems": [],
        "dag_path": dag_path,
    }
