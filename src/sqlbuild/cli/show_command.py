from __future__ import annotations

import datetime
import itertools
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sqlbuild.app.wording import counted, first_few, one_line, safe_text, seconds_text
from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import write_document, write_lines, write_text
from sqlbuild.cli.target_options import running_text
from sqlbuild.cli.text_table import table_lines
from sqlbuild.domain.check_results import failed_by_verdict, message_of, verdict_of
from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.nodes import (
    Asset,
    Audit,
    Check,
    Function,
    Loader,
    Model,
    PythonFunction,
    Seed,
    Source,
    Task,
    UnitTest,
)

if TYPE_CHECKING:
    from sqlbuild.app.looking import NodeLogReport, NodeReport
    from sqlbuild.app.options import Compiled
    from sqlbuild.domain.graph import Node
    from sqlbuild.domain.results import NodeResult

SCHEMA_VERSION = 1
_JSON_LIMIT = 2_000
_LINES_AT_ONCE = 1_000


def show(
    options: SharedOptions,
    name: Annotated[str, typer.Argument(metavar="NODE", help="Its name, or kind:name.")],
    logs: Annotated[bool, typer.Option("--logs", help="Show what it said in its last run, and nothing else.")] = False,
    attempt: Annotated[
        int | None, typer.Option("--attempt", min=1, metavar="N", help="With --logs: only that attempt.")
    ] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="With --logs: in that run.")] = None,
) -> int:
    """Show one node. How it is declared, its columns and lineage, its last results and why it would run."""
    if not logs and (attempt is not None or run is not None):
        raise typer.BadParameter("--attempt and --run choose a log: give --logs too")
    from sqlbuild.app import looking
    from sqlbuild.cli.open_project import open_project

    compiled = open_project(options)
    if logs:
        return _show_logs(looking.show_logs(compiled, name, run_id=run, attempt=attempt), compiled, options)
    report = looking.show(compiled, name)
    if options.json:
        write_document(options.masker.plain(_document(report, compiled)))
    else:
        write_lines(map(options.masker.text, _lines(report, compiled)))
    return 0


def _show_logs(report: NodeLogReport, compiled: Compiled, options: SharedOptions) -> int:
    from sqlbuild.app.looking import log_messages

    if options.json:
        entries = [
            {"attempt": attempt, "path": path, "messages": log_messages(compiled, path)}
            for attempt, path in report.paths.items()
        ]
        document = {"schema_version": SCHEMA_VERSION, "node": report.node.id, "run_id": report.run_id, "logs": entries}
        write_document({**document, "note": report.note})
        return 0
    if report.note:
        write_lines([report.note])
    for attempt, path in report.paths.items():
        write_lines([f"{report.node.id}, run {report.run_id}, attempt {attempt}: {path}"])
        with open(path, encoding="utf-8", errors="backslashreplace", newline="\n") as log:
            while lines := list(itertools.islice(log, _LINES_AT_ONCE)):
                write_text(safe_text("".join(lines), limit=sys.maxsize))
    return 0


def _lines(report: NodeReport, compiled: Compiled) -> list[str]:
    node = report.node
    lines: list[str] = [node.id]
    lines += [f"  {line}" for line in safe_text(node.description.strip()).split("\n") if line]
    facts = [*_declared_facts(node), *_graph_facts(node, compiled), *_history_facts(report)]
    width = max(len(label) for label, _ in facts)
    lines += ["", *(f"{label:<{width}}  {text}" for label, text in facts)]
    if node.columns:
        lines += ["", "columns", *_indented(_column_lines(node))]
    notes = [*node.notes, *(f"not tracked: {text}" for text in _not_tracked(node, compiled))]
    if notes:
        lines += ["", "notes", *_indented(notes)]
    if report.results:
        lines += ["", "last results", *_indented(_result_table(report.results)), "", *_last_result(report.results[0])]
    return lines


def _declared_facts(node: Node) -> list[tuple[str, str]]:
    facts = [("declared", str(node.place))]
    match node.declaration:
        case Task(declared=declared) | Asset(declared=declared) | Loader(declared=declared) | Check(declared=declared):
            facts.append(("function", "async def" if declared.is_async else "def"))
            facts += _attempt_facts(declared)
            if isinstance(node.declaration, Check):
                facts.append(("severity", node.declaration.severity))
            elif declared.requires != "any":
                facts.append(("requires", declared.requires))
        case Model() as model:
            facts += [("built as", model.materialized), *_attempt_facts(model)]
            hooks = [hook.label for hook in (*model.pre_hooks, *model.post_hooks)]
            facts += [("hooks", ", ".join(hooks))] if hooks else []
        case Seed() as seed:
            facts += [("file", seed.csv_path), *_attempt_facts(seed)]
        case UnitTest() as test:
            facts += [("mode", test.mode), *_attempt_facts(test), *_facts_of_test(node)]
        case Function() as function:
            returns = f"table of {counted(len(function.columns), 'column')}" if function.is_table else function.returns
            facts += [("called as", function.written()), ("returns", str(returns))]
        case Audit() as audit:
            facts += [
                ("audits", "what its query reads" if audit.target is None else repr(audit.target).replace("'", '"')),
                ("severity", audit.severity),
                *_attempt_facts(audit),
            ]
        case Source():
            pass
    if node.expansions:
        macros = dict.fromkeys(f"{each.macro} ({each.defined})" for each in node.expansions)
        facts.append(("macros", ", ".join(macros)))
    if node.relation is not None:
        facts.append(("relation", str(node.relation)))
    if node.providers:
        facts.append(("providers", ", ".join(node.providers)))
    if node.tags:
        facts.append(("tags", ", ".join(node.tags)))
    if node.group is not None:
        facts.append(("group", node.group))
    if node.meta:
        facts.append(("meta", one_line(str(dict(node.meta)))))
    return facts


def _facts_of_test(node: Node) -> list[tuple[str, str]]:
    plan = node.unit_test
    if plan is None:
        return []
    mocks = [f"{role} {name}" for role, name in plan.mocks]
    found = [("tests", node.tests), ("runs", plan.models), ("mocks", mocks)]
    return [(label, ", ".join(names)) for label, names in found if names]


def _attempt_facts(declared: PythonFunction | Model | Seed | UnitTest | Audit) -> list[tuple[str, str]]:
    facts = []
    if declared.retry is not None:
        facts.append(("retry", f"up to {counted(declared.retry.max_attempts, 'attempt')}"))
    if declared.timeout is not None:
        facts.append(("timeout", seconds_text(declared.timeout)))
    if declared.pools:
        facts.append(("pools", ", ".join(declared.pools)))
    return facts


def _graph_facts(node: Node, compiled: Compiled) -> list[tuple[str, str]]:
    downstream = compiled.graph.directly_below(node.id)
    return [
        ("depends on", first_few(node.depends_on, 10) or "nothing"),
        ("read by", first_few(downstream, 10) or "nothing"),
    ]


def _history_facts(report: NodeReport) -> list[tuple[str, str]]:
    facts = []
    if report.node.kind is not NodeKind.SOURCE:
        facts.append(("would run", report.why or report.reason))
    if report.past is not None:
        facts.append(("last status", f"{report.past.last_status.replace('_', ' ')} in run {report.past.last_run_id}"))
        if report.past.typical_seconds is not None:
            facts.append(("usually takes", seconds_text(report.past.typical_seconds)))
    if report.live is not None:
        attempt = report.live.at_work.get(report.node.id)
        if attempt is not None:
            facts.append(("now", "running" if attempt == 1 else f"running, attempt {attempt}"))
        facts.append(("as of", running_text(report.live)))
    elif report.as_of is not None:
        facts.append(("as of", f"run {report.as_of}"))
    return facts


def _column_lines(node: Node) -> list[str]:
    rows = []
    for column in node.columns or ():
        origins = node.column_lineage.get(column.name, ())
        rows.append(
            (
                column.name,
                column.type or "",
                "not null" if column.nullable is False else "",
                "from " + ", ".join(f"{origin.node}.{origin.column}" for origin in origins) if origins else "",
                column.description,
            )
        )
    return table_lines(("name", "type", "", "lineage", "description"), rows, limit=200)


def _result_table(results: Iterable[NodeResult]) -> list[str]:
    rows = [
        (
            result.run_id,
            result.status.replace("_", " "),
            str(result.attempt),
            seconds_text(result.duration),
            _time(result.finished_at) or "",
        )
        for result in results
    ]
    return table_lines(("run", "status", "attempts", "took", "finished (UTC)"), rows, right=frozenset({2, 3}))


def _last_result(result: NodeResult) -> list[str]:
    """What the newest result says; payload and metadata as JSON."""
    verdict = verdict_of(result)
    told = (
        ("payload", result.payload if verdict is None else None),
        ("verdict", verdict),
        ("message", message_of(result)),
        ("metadata", result.metadata),
    )
    lines = [f"{label}: {one_line(text, _JSON_LIMIT)}" for label, text in told if text is not None]
    if result.materialized is not None:
        lines.append(f"materialized: {'yes' if result.materialized else 'no'}")
    if result.skip_reason:
        lines.append(f"skipped ({result.skip_mode or 'soft'}): {one_line(result.skip_reason)}")
    if result.because_of:
        lines.append(f"because of: {first_few(result.because_of)}")
    lines += [f"warning: {one_line(warning, 1_000)}" for warning in result.warnings]
    if result.error is not None and not failed_by_verdict(result):
        text = result.error.traceback or f"{result.error.type}: {result.error.message}"
        lines += ["error:", *_indented(safe_text(text.rstrip()).split("\n"))]
    if result.log is not None:
        lines.append(f"log: {one_line(result.log, 1_000)}")
    return lines


def _document(report: NodeReport, compiled: Compiled) -> dict[str, Any]:
    from sqlbuild.app.documents import node_document, node_result_document

    node = report.node
    return {
        "schema_version": SCHEMA_VERSION,
        "node": node_document(node),
        "downstream": list(compiled.graph.directly_below(node.id)),
        "notes": list(node.notes),
        "not_tracked": list(_not_tracked(node, compiled)),
        "reason": report.reason,
        "why": report.why,
        "as_of": report.as_of,
        "run_goes_on": report.live is not None,
        "attempt_at_work": None if report.live is None else report.live.at_work.get(node.id),
        "typical_seconds": None if report.past is None else report.past.typical_seconds,
        "results": [node_result_document(result, compiled) for result in report.results],
    }


def _not_tracked(node: Node, compiled: Compiled) -> tuple[str, ...]:
    facts = compiled.project.code.get(node.id)
    return facts.not_tracked if facts is not None else ()


def _time(at: float | None) -> str | None:
    return None if at is None else datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(" ", "seconds")[:19]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
