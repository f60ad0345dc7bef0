from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sqlbuild.app.result_wording import counts_text, loaded_text
from sqlbuild.app.wording import counted, first_few, one_line, seconds_text
from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import terminal_width, write_document, write_error_text, write_lines
from sqlbuild.cli.text_table import fitted, table_lines
from sqlbuild.domain.check_results import message_of, verdict_of
from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.past_runs import Ending, PastRun
from sqlbuild.domain.results import NodeResult, told_in_one_line

if TYPE_CHECKING:
    from sqlbuild.app.node_history import NodeHistory, PastResult
    from sqlbuild.app.run_history import RunHistory

_DETAIL = 400
"""Characters of one line about a result."""


def history(
    options: SharedOptions,
    name: Annotated[
        str | None, typer.Argument(metavar="[NODE]", help="Its name, or kind:name; every run if none is given.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Show at most N of them.")] = 20,
) -> int:
    """Show past runs, the newest first. With a node: what it did in them. Never waits for a build that goes on."""
    if name is None:
        return _show_runs(options, limit)
    return _show_node(options, name, limit)


def _show_runs(options: SharedOptions, limit: int) -> int:
    from sqlbuild.app.documents import run_history_document
    from sqlbuild.app.run_history import run_history
    from sqlbuild.cli.open_project import project_options

    found = run_history(project_options(options), limit)
    if options.json:
        write_document(options.masker.plain(run_history_document(found)))
        return 0
    _note(options, found.why_not if found.runs else "", [run.damage for run in found.runs if run.damage])
    width = terminal_width()
    write_lines(fitted(map(options.masker.text, run_lines(found, width)), width))
    return 0


def _show_node(options: SharedOptions, name: str, limit: int) -> int:
    from sqlbuild.app.documents import node_history_document
    from sqlbuild.app.node_history import node_history
    from sqlbuild.cli.open_project import open_project

    compiled = open_project(options)
    found = node_history(compiled, name, limit)
    if options.json:
        write_document(options.masker.plain(node_history_document(found, compiled)))
        return 0
    _note(options, found.why_not if found.results or found.at_work else "", found.damage)
    write_lines(fitted(map(options.masker.text, node_lines(found)), terminal_width()))
    return 0


def run_lines(found: RunHistory, width: int | None = None) -> list[str]:
    """One line for each run; where they are wider than `width`, how it ended and its command come indented under it."""
    if not found.runs:
        return [f"no run on target {found.target} yet: `sqb build` makes the first one"]
    rows = [
        (
            run.run_id,
            _local_time(run.started_at),
            "" if run.seconds is None else seconds_text(run.seconds),
            ending_text(run),
            run.command or "",
        )
        for run in found.runs
    ]
    headers = ("run", f"started ({_zone(run.started_at for run in found.runs)})", "took", "ended", "command")
    lines = table_lines(headers, rows, right=frozenset({2}), limit=_DETAIL)
    if width is None or fitted(lines, width) == lines:
        return lines
    header, *lines = table_lines(headers[:3], [row[:3] for row in rows], right=frozenset({2}))
    return [header, *(text for line, row in zip(lines, rows, strict=True) for text in _with_details(line, row[3:]))]


def ending_text(run: PastRun) -> str:
    """How a run ended, whether it can be gone on with, and what became of its nodes."""
    words = [_ending(run)]
    if run.resumed:
        words.append("resumed once" if run.resumed == 1 else f"resumed {run.resumed} times")
    if run.can_be_resumed:
        words.append("can be resumed")
    done = sum(run.counts.values())
    if run.ending is Ending.RUNNING:
        nodes = [] if run.planned is None else [f"{done:,} of {counted(run.planned, 'node')} done"]
        nodes += [f"{run.at_work:,} at work"] if run.at_work else []
    else:
        nodes = [counts_text(run.counts)] if run.counts else []
        not_begun = 0 if run.planned is None else run.planned - done
        nodes += [f"{not_begun:,} not begun"] if run.ending is Ending.KILLED and not_begun > 0 else []
    return f"{', '.join(words)}: {', '.join(nodes)}" if nodes else ", ".join(words)


def node_lines(found: NodeHistory) -> list[str]:
    """A line for each run, and indented under it why the node ran and what became of it."""
    node, target = found.node, found.target
    at_work = found.at_work
    if node.kind is NodeKind.SOURCE:
        return [f"{node.id} is read, never run: it has no history"]
    if not found.results and at_work is None:
        return [f"{node.id} has not run on target {target} yet"]
    rows = [_row(past.result) for past in found.results]
    details = [_details(past) for past in found.results]
    if at_work is not None:
        took = seconds_text(max(0.0, datetime.datetime.now(datetime.UTC).timestamp() - at_work.since))
        rows.insert(0, (at_work.run_id, _local_time(at_work.since), "running", str(at_work.attempt), took))
        details.insert(0, [])
    began = [None if at_work is None else at_work.since, *(_began(past.result) for past in found.results)]
    headers = ("run", f"started ({_zone(began)})", "status", "attempts", "took")
    header, *lines = table_lines(headers, rows, right=frozenset({3, 4}))
    told = [f"{node.id} on target {target}", "", header]
    for line, indented in zip(lines, details, strict=True):
        told += _with_details(line, indented)
    return told


def _with_details(line: str, details: Iterable[str]) -> list[str]:
    return [line, *(f"    {text}" for text in details if text)]


def _row(result: NodeResult) -> Sequence[str]:
    ran = result.attempt > 0
    return (
        result.run_id,
        _local_time(_began(result)),
        result.status.replace("_", " "),
        str(result.attempt),
        seconds_text(result.duration) if ran else "",
    )


def _details(past: PastResult) -> list[str]:
    result = past.result
    lines = [f"why: {past.why}"] if past.why else []
    ended = told_in_one_line(result)
    if result.skip_reason:
        ended = f"{result.skip_mode or 'soft'} skip: {ended}"
    lines += [ended] if ended else _gave(result)
    if result.materialized is False:
        lines.append("not materialized")
    lines += [f"warning: {warning}" for warning in result.warnings]
    return [one_line(line, _DETAIL) for line in lines]


def _gave(result: NodeResult) -> list[str]:
    """What a node that ran has loaded, exported, found or returned."""
    lines = []
    loaded = loaded_text(result) if result.kind in (NodeKind.LOADER, NodeKind.SEED) else ""
    if loaded:
        lines.append(loaded)
    if result.exports is not None:
        lines.append(_exported(result.exports))
    verdict, message = verdict_of(result), message_of(result)
    if verdict is not None:
        lines.append(verdict if message is None else f"{verdict}: {message}")
    elif result.payload is not None:
        lines.append(f"payload: {result.payload}")
    return lines


def _exported(exports: str) -> str:
    told = json.loads(exports)
    files, more = told["files"], told.get("more_files", 0)
    rows = sum(file["rows"] or 0 for file in files)
    least = "at least " if more else ""
    number = counted(len(files) + more, "file")
    return f"exported {number}, {least}{counted(rows, 'row')}: {first_few([file['path'] for file in files], 3)}"


def _ending(run: PastRun) -> str:
    match run.ending:
        case Ending.STOPPED:
            return f"stopped by {run.stopped_by}"
        case Ending.FAILED if run.stopped_by == "fail-fast":
            return "stopped at the first failure"
        case Ending.FAILED if run.stopped_by:
            return f"failed, stopped by {run.stopped_by}"
        case Ending.RUNNING:
            return "running now"
        case Ending.DAMAGED:
            return "not known, its journal is damaged"
        case ending:
            return ending.value


def _note(options: SharedOptions, why_not: str, damage: Iterable[str | None]) -> None:
    if options.quiet:
        return
    if why_not:
        write_error_text(f"{one_line(why_not, 1_000)}: told from the journals in target/runs\n")
    for text in damage:
        write_error_text(f"note: {one_line(text or '', 1_000)}\n")


def _began(result: NodeResult) -> float | None:
    return result.finished_at if result.started_at is None else result.started_at


def _local_time(at: float | None) -> str:
    return "" if at is None else _moment(at).isoformat(" ", "seconds")[:19]


def _zone(times: Iterable[float | None]) -> str:
    """The name of the time zone in which all of them are shown."""
    names = {_moment(at).tzname() for at in times if at is not None}
    return next(iter(names)) or "local time" if len(names) == 1 else "local time"


def _moment(at: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).astimezone()
