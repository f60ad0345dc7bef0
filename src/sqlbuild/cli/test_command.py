from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import write_document, write_lines
from sqlbuild.cli.run_selection import refuse_two_documents, run_selection
from sqlbuild.cli.selection_options import AllowEmpty, Exclude, Select, Selectors, selection_of
from sqlbuild.cli.target_options import TestTimeout, finite_seconds

if TYPE_CHECKING:
    from sqlbuild.domain.graph import Node

SCHEMA_VERSION = 1


def run_tests(
    options: SharedOptions,
    selectors: Selectors = None,
    select: Select = None,
    exclude: Exclude = None,
    case: Annotated[str | None, typer.Option("--case", metavar="NAME", help="Run only this case of each test.")] = None,
    inspect: Annotated[
        bool, typer.Option("--inspect", help="Show what each test runs and mocks, and run nothing.")
    ] = False,
    test_timeout: TestTimeout = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML too.")
    ] = None,
    allow_empty: AllowEmpty = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first test that fails.")] = False,
    connections: Annotated[int | None, typer.Option(min=1, metavar="N", help="Run at most N tests at once.")] = None,
    grace: Annotated[
        float,
        typer.Option(
            parser=finite_seconds, metavar="SECONDS", help="Wait so long for statements when the run is stopped."
        ),
    ] = 10.0,
    backend: Annotated[Literal["asyncio", "trio"], typer.Option(help="The event loop that runs it.")] = "asyncio",
    events: Annotated[bool, typer.Option("--events", help="Print one JSON object per event on stdout.")] = False,
) -> int:
    """Run unit tests of SQL alone. A selector means the tests it names and those of the models it names."""
    refuse_two_documents(options, events=events)
    from sqlbuild.app.options import RunOptions

    selection = selection_of(selectors, select, exclude, allow_empty=allow_empty, tests_alone=True, case=case)
    if inspect:
        from sqlbuild.app.unit_tests import selected_tests
        from sqlbuild.cli.open_project import open_project

        nodes = selected_tests(open_project(options), selection)
        if options.json:
            write_document({"schema_version": SCHEMA_VERSION, "tests": [_document(node) for node in nodes]})
        else:
            write_lines(line for node in nodes for line in _lines(node))
        return 0
    run_options = RunOptions(
        connections=connections,
        fail_fast=fail_fast,
        grace=grace,
        command="sqb test",
        backend=backend,
        debug=options.debug,
        test_timeout=test_timeout,
        junit=None if junit is None else str(junit.absolute()),
    )
    return run_selection(options, selection, run_options, events=events)


def _document(node: Node) -> dict[str, Any]:
    plan = node.unit_test
    assert plan is not None
    return {
        "id": node.id,
        "name": node.name,
        "path": node.place.path,
        "line": node.place.line,
        "tests": list(node.tests),
        "mocks": [{"kind": kind, "name": name} for kind, name in plan.mocks],
        "completed": {mock: list(columns) for mock, columns in plan.completed.items()},
        "real_models": [{"name": name, "path": list(plan.paths[name])} for name in plan.models],
        "checks": [
            {"check": "expected" if each.compares else "assert", "name": each.name, "line": each.place.line}
            for each in plan.verifications
        ],
    }


def _lines(node: Node) -> list[str]:
    plan = node.unit_test
    assert plan is not None
    lines = [f"{node.name}  ({node.place})"]
    lines += [f"  mocked    {'model' if kind == 'ref' else kind} {name}" for kind, name in plan.mocks]
    lines += [f"  as NULL   {', '.join(columns)} of {mock}" for mock, columns in plan.completed.items()]
    for name in plan.models:
        path = plan.paths[name]
        lines.append(f"  runs      model {name}" + (f"  ({' -> '.join(path)})" if len(path) > 1 else ""))
    lines += [
        f"  {'expects' if each.compares else 'asserts'}   {each.name}  (line {each.place.line})"
        for each in plan.verifications
    ]
    return lines
