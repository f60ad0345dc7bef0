from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sqlbuild.app.wording import seconds_text
from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import write_document, write_lines
from sqlbuild.cli.selection_options import AllowEmpty, Exclude, Select, Selectors, selection_of
from sqlbuild.cli.target_options import LockTimeout, patience_of
from sqlbuild.cli.text_table import table_lines

if TYPE_CHECKING:
    from sqlbuild.app.observed_sources import Observation

SCHEMA_VERSION = 1


def freshness(
    options: SharedOptions,
    selectors: Selectors = None,
    select: Select = None,
    exclude: Exclude = None,
    state: Annotated[
        bool, typer.Option("--state", help="Compare with what the last build has seen of each source.")
    ] = False,
    fail_on_error: Annotated[
        bool, typer.Option("--fail-on-error", help="Exit with 1 if the data of a source cannot be seen.")
    ] = False,
    fail_on_stale: Annotated[
        bool,
        typer.Option("--fail-on-stale", help="Exit with 1 if a source has data that no build has seen. With --state."),
    ] = False,
    allow_empty: AllowEmpty = False,
    lock_timeout: LockTimeout = 60.0,
) -> int:
    """Show what version the data of sources has. Reads the warehouse and changes nothing."""
    if fail_on_stale and not state:
        raise typer.BadParameter("--fail-on-stale needs --state: without it nothing is compared")
    from sqlbuild.app.source_freshness import observe_freshness, summary_of
    from sqlbuild.cli.open_project import open_project

    compiled = open_project(options)
    selection = selection_of(selectors, select, exclude, allow_empty=allow_empty)
    observed = observe_freshness(compiled, selection, patience_of(options, lock_timeout))
    counts = summary_of(observed, compared=state)
    if options.json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "target": compiled.project.settings.target.name,
            "sources": [_document(each, compared=state) for each in observed],
            "summary": dict(counts),
        }
        write_document(options.masker.plain(document))
    else:
        write_lines(map(options.masker.text, _lines(observed, counts, compared=state)))
    is_old = any(each.age_status == "error" for each in observed)
    has_news = counts.get("changed", 0) + counts.get("new", 0) > 0
    fails = (fail_on_error and counts["error"] > 0) or (fail_on_stale and (has_news or counts["error"] > 0)) or is_old
    return 1 if fails else 0


def _lines(observed: Iterable[Observation], counts: Mapping[str, int], *, compared: bool) -> list[str]:
    rows = [
        (
            each.node.name,
            each.status if compared or each.version is None else "observed",
            each.version or "",
            (each.before or "") if compared else "",
            str(each.freshness.strategy),
            _remark(each),
        )
        for each in observed
    ]
    told = ", ".join(f"{number:,} {status}" for status, number in counts.items() if number)
    heads = ("source", "status", "version", "seen before" if compared else "", "by", "")
    return [*table_lines(heads, rows), "", told or "no source"]


def _remark(each: Observation) -> str:
    if each.version is None:
        return each.message
    if each.age is None:
        return ""
    age = f"{seconds_text(abs(each.age))} {'old' if each.age >= 0 else 'ahead'}"
    return f"{age}, {each.age_status}" if each.age_status not in (None, "pass") else age


def _document(each: Observation, *, compared: bool) -> dict[str, Any]:
    return {
        "id": each.node.id,
        "name": each.node.name,
        "status": each.status if compared or each.version is None else "observed",
        "strategy": str(each.freshness.strategy),
        "kind": None if each.freshness.kind is None else str(each.freshness.kind),
        "version": each.version,
        "before": each.before if compared else None,
        "lag_tolerance_seconds": each.freshness.lag_tolerance,
        "age_seconds": each.age,
        "age_status": each.age_status,
        "relation": None if each.node.relation is None else str(each.node.relation),
        "message": each.message or None,
    }
