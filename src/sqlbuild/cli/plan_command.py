from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sqlbuild.app.wording import counted, seconds_text
from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import write_document, write_lines
from sqlbuild.cli.refresh_options import (
    EndCursor,
    EndCursorInt,
    EndCursorTs,
    FullRefresh,
    MaxMicrobatches,
    StartCursor,
    StartCursorInt,
    StartCursorTs,
    refresh_of,
)
from sqlbuild.cli.selection_options import (
    AllowEmpty,
    Changed,
    DeferTo,
    Exclude,
    Load,
    NoPython,
    Only,
    Select,
    Selectors,
    selection_of,
)
from sqlbuild.cli.target_options import LockTimeout, patience_of
from sqlbuild.cli.text_table import table_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlbuild.app.sql_diffs import SqlDiff
    from sqlbuild.domain.ids import NodeId
    from sqlbuild.domain.plans import Plan, Step

SCHEMA_VERSION = 1
_PATH_ENDS = 4


def plan(
    options: SharedOptions,
    selectors: Selectors = None,
    select: Select = None,
    exclude: Exclude = None,
    no_python: NoPython = False,
    load: Load = None,
    full_refresh: FullRefresh = False,
    start_cursor: StartCursor = None,
    end_cursor: EndCursor = None,
    start_cursor_ts: StartCursorTs = None,
    end_cursor_ts: EndCursorTs = None,
    start_cursor_int: StartCursorInt = None,
    end_cursor_int: EndCursorInt = None,
    max_microbatches: MaxMicrobatches = None,
    only: Only = False,
    changed: Changed = False,
    defer_to: DeferTo = None,
    no_tests: Annotated[bool, typer.Option("--no-tests", help="Leave unit tests out.")] = False,
    no_audits: Annotated[bool, typer.Option("--no-audits", help="Leave audits and checks out.")] = False,
    allow_empty: AllowEmpty = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what has changed in the SQL of models.")] = False,
    lock_timeout: LockTimeout = 60.0,
) -> int:
    """Show what a build would run, and why. Also about how long it would take; changes nothing."""
    from sqlbuild.app.planning import plan_with_diffs
    from sqlbuild.cli.open_project import open_project

    compiled = open_project(options)
    selection = selection_of(
        selectors,
        select,
        exclude,
        only=only,
        changed=changed,
        defer_to=defer_to,
        allow_empty=allow_empty,
        no_python=no_python,
        no_checks=no_audits,
        no_tests=no_tests,
        load=load,
    )
    refresh = refresh_of(
        full=full_refresh,
        start=(start_cursor, start_cursor_ts, start_cursor_int),
        end=(end_cursor, end_cursor_ts, end_cursor_int),
        most_batches=max_microbatches,
    )
    made, diffs = plan_with_diffs(compiled, selection, patience_of(options, lock_timeout), refresh)
    if options.json:
        write_document(options.masker.plain(plan_document(made, diffs if diff else None)))
    else:
        lines = [line for found in diffs.values() for line in (*found.lines(), "")] if diff else []
        write_lines(map(options.masker.text, [*lines, *plan_lines(made, quiet=options.quiet)]))
    return 0


def plan_lines(made: Plan, *, quiet: bool = False) -> list[str]:
    """One line per node in the order of the graph, then new data of sources, warnings and the estimate."""
    lines: list[str] = []
    if made.steps and not quiet:
        rows = [
            (
                step.node.kind,
                step.node.name,
                step.why or step.reason,
                "" if step.typical_seconds is None else seconds_text(step.typical_seconds),
            )
            for step in made.steps.values()
        ]
        lines += [*table_lines(("kind", "name", "why", "usually"), rows, right=frozenset({3})), ""]
    growing = [step for step in made.steps.values() if step.does]
    if growing and not quiet:
        width = max(len(step.node.name) for step in growing)
        lines += ["incremental models", *(f"  {step.node.name:<{width}}  {step.does}" for step in growing), ""]
    lines += [*made.news, ""] if made.news and not quiet else []
    lines += [f"warning: {warning}" for warning in made.warnings]
    head = f"{counted(len(made.steps), 'node')} would run on target {made.target}"
    if not made.steps:
        return [*lines, head]
    if made.estimated_seconds is None:
        return [*lines, f"{head}; how long is not known before the first run"]
    unknown = sum(made.steps[node].typical_seconds is None for node in made.critical_path)
    guess = f" ({unknown:,} of them {'has' if unknown == 1 else 'have'} no history: a guess)" if unknown else ""
    return [*lines, f"{head}, about {seconds_text(made.estimated_seconds)} along {_path_text(made)}{guess}"]


def plan_document(made: Plan, diffs: Mapping[NodeId, SqlDiff] | None = None) -> dict[str, Any]:
    """The plan for programs; durations are seconds. With `diffs` every node has one, or null where its SQL is the same."""
    return {
        "schema_version": SCHEMA_VERSION,
        "target": made.target,
        "nodes": [
            {
                "id": id,
                "kind": step.node.kind,
                "name": step.node.name,
                "upstream": list(step.upstream),
                "reason": step.reason,
                "why": step.why,
                "required": step.required,
                "typical_seconds": step.typical_seconds,
                "priority": step.priority,
                **({} if diffs is None else {"diff": diffs[id].document() if id in diffs else None}),
                **({} if step.incremental is None else {"incremental": _incremental(step)}),
            }
            for id, step in made.steps.items()
        ],
        "warnings": list(made.warnings),
        "news": list(made.news),
        "critical_path": list(made.critical_path),
        "estimated_seconds": made.estimated_seconds,
    }


def _incremental(step: Step) -> dict[str, Any]:
    build = step.incremental
    assert build is not None
    return {"full": build.full, "replay": str(build.replay), "why": build.why, "does": step.does}


def _path_text(made: Plan) -> str:
    names = [made.steps[node].node.name for node in made.critical_path]
    if len(names) > 2 * _PATH_ENDS:
        names = [*names[:_PATH_ENDS], f"({len(names) - 2 * _PATH_ENDS:,} more)", *names[-_PATH_ENDS:]]
    return " > ".join(names)
