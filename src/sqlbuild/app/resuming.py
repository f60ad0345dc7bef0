"""Going on with a run: which one, what it was asked for, and what is left of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlbuild.app.options import Compiled, ProjectOptions, RunOptions
from sqlbuild.app.wording import counted
from sqlbuild.domain.events import Event, RunNote, RunWarning
from sqlbuild.domain.ids import NodeId, NodeKind, kind_of, name_of
from sqlbuild.domain.incremental import Refresh
from sqlbuild.domain.masking import MASK, Masker
from sqlbuild.domain.past import Past
from sqlbuild.domain.plans import Plan
from sqlbuild.domain.results import SUCCESSES, NodeResult, Status
from sqlbuild.domain.selection import Selection
from sqlbuild.errors import EngineError, SelectionError
from sqlbuild.interfaces.state_store import StateStore
from sqlbuild.planner.resume_plan import resume_plan
from sqlbuild.project.settings_file import read_settings
from sqlbuild.runner.run_order import RunOrder
from sqlbuild.state.journal import FILE_NAME, read_journal
from sqlbuild.state.node_result_json import result_from_json
from sqlbuild.state.replay import Replayed, lost_runs, replay
from sqlbuild.state.run_journal import RunJournal

_LOOKING = frozenset({NodeKind.AUDIT, NodeKind.CHECK})
"""They write nothing: one that has run again since is no reason against anything."""
_NAMED = 3


def find_run(options: ProjectOptions, run_id: str | None) -> RunJournal:
    """The run to go on with: `run_id`, else the last one of the target that did not succeed.

    Raises SelectionError where there is none, or where the command asks for something else than it did.
    """
    runs = Path(options.root, "target", "runs")
    found = _named_run(runs, run_id) if run_id is not None else _last_without_success(runs, _target(options))
    if not _has_a_plan(found):
        raise SelectionError(
            f"run {found.run_id} ended before it had planned anything",
            help="build again, there is nothing to go on with",
        )
    if options.target is not None and options.target != found.target:
        raise SelectionError(
            f"run {found.run_id} was on target {found.target}, not {options.target}", help="leave --target out"
        )
    _compare_vars(options, found)
    return found


def find_again(root: str, run: RunJournal) -> RunJournal:
    """The same run as it is now that its target is held: it may have gone on until then. Raises SelectionError."""
    assert run.run_id is not None
    return _named_run(Path(root, "target", "runs"), run.run_id)


def request_of(selection: Selection, options: RunOptions, masker: Masker) -> dict[str, Any]:
    """What a run was asked for, to be kept in its journal."""
    vars = masker.plain(dict(options.vars))
    return {
        "command": options.command,
        "selection": dataclasses.asdict(selection),
        "vars": vars,
        "reload": options.reload,
        "refresh": dataclasses.asdict(options.refresh),
    }


def vars_of_run(options: ProjectOptions, run: RunJournal) -> Mapping[str, object]:
    """Those of the run; given again where the journal has not all of them."""
    assert run.request is not None
    found: Mapping[str, object] = options.vars or run.request["vars"]
    return found


def options_of_run(options: ProjectOptions, run: RunJournal) -> ProjectOptions:
    return dataclasses.replace(options, target=run.target, vars=vars_of_run(options, run))


def selection_of_run(run: RunJournal) -> Selection:
    assert run.request is not None
    known = {field.name for field in dataclasses.fields(Selection)}
    given: dict[str, Any] = {name: value for name, value in run.request["selection"].items() if name in known}
    for name, value in given.items():
        given[name] = tuple(value) if isinstance(value, list) else value
    return Selection(**given)


def refresh_of_run(run: RunJournal) -> Refresh:
    assert run.request is not None
    return Refresh(**run.request.get("refresh", {}))


def plan_of_run(compiled: Compiled, past: Past, run: RunJournal, *, force: bool) -> Plan:
    """What is left of a run. Raises SelectionError if a later one has written some of it, unless `force`."""
    if not force:
        _refuse_overtaken(past, run)
    ended = {node: result.status for node, result in _results(run, run.records).items()}
    for node in run.unknown:
        # A replay may have found that the warehouse has what it did.
        stored = past.nodes.get(node)
        recovered = stored is not None and stored.last_run_id == run.run_id
        ended[node] = stored.last_status if stored is not None and recovered else Status.UNKNOWN
    return resume_plan(
        compiled.graph,
        past,
        target=compiled.project.settings.target.name,
        planned=run.planned,
        ended=ended,
        began_with=run.began_with,
        turns=run.turns,
        refresh=refresh_of_run(run),
    )


def can_be_resumed(past: Past, run: RunJournal) -> bool:
    """Whether `sqb retry --run ID` would go on with a run that nobody has in hand."""
    if run.ended_with == 0 or run.request is None or run.request["selection"].get("tests_alone"):
        return False
    return bool(run.planned) and _overtaken(past, run) is None


def order_of_resumed(order: RunOrder, plan: Plan, run: RunJournal) -> RunOrder:
    """`order` with what the nodes of `run` have done and kept so far."""
    kept = [node for node in run.records if node in run.planned and node not in plan.steps]
    return dataclasses.replace(
        order,
        checkpoints={
            node: found.texts
            for node, found in run.checkpoints.items()
            if node in plan.steps
            and found.fingerprint == plan.graph.nodes[node].fingerprint.total
            and not _is_begun_anew(run, node)
        },
        attempts=dict(run.started),
        earlier=_results(run, kept),
    )


def fingerprints(plan: Plan) -> dict[NodeId, str]:
    return {node: step.node.fingerprint.total for node, step in plan.steps.items()}


def _is_begun_anew(run: RunJournal, node: NodeId) -> bool:
    """Whether a model has succeeded already, and runs again because of something else: then it goes on with nothing."""
    record = run.records.get(node)
    return kind_of(node) is NodeKind.MODEL and record is not None and result_from_json(record).status in SUCCESSES


async def look_after_lost_runs(
    root: str, target: str, store: StateStore, publish: Callable[[Event], None], now: float
) -> None:
    """What earlier runs left in their journals only is stored, and told. Nothing of them runs any more."""
    runs = Path(root, "target", "runs")
    lost, damaged = lost_runs(runs, target)
    if lost:
        for note in await store.begin():
            publish(RunNote(now, note))
    for journal in lost:
        publish(RunWarning(now, _told(await replay(journal, runs, store, now))))
    for error in damaged:
        publish(RunWarning(now, f"{error.args[0]}; {error.help}"))


def _told(replayed: Replayed) -> str:
    read = f"{counted(replayed.results, 'result')} {'was' if replayed.results == 1 else 'were'} read from its journal"
    text = f"run {replayed.run_id} had ended without a word: {read}"
    if replayed.recovered:
        text += f", {_names(replayed.recovered)} had taken effect"
    if replayed.unknown:
        text += f", of {_names(replayed.unknown)} no end was seen"
    return "; ".join([f"{text}. `sqb retry` goes on with it", *replayed.notes])


def _names(nodes: tuple[NodeId, ...]) -> str:
    more = f" and {len(nodes) - _NAMED} more" if len(nodes) > _NAMED else ""
    return ", ".join(name_of(node) for node in nodes[:_NAMED]) + more


def _compare_vars(options: ProjectOptions, run: RunJournal) -> None:
    assert run.request is not None
    kept = run.request["vars"]
    if not options.vars:
        if MASK in str(kept):
            raise SelectionError(
                f"run {run.run_id} was given a secret in --vars, which is not kept", help="give the same --vars again"
            )
        return
    settings, _ = read_settings(options.root, target=run.target, vars=options.vars, environ=options.environ)
    options.masker.add(settings.secrets)
    if options.masker.plain(dict(options.vars)) != kept:
        raise SelectionError(f"run {run.run_id} had other vars", help="leave --vars out: those of the run are used")


def _target(options: ProjectOptions) -> str:
    settings, _ = read_settings(options.root, target=options.target, vars=options.vars, environ=options.environ)
    return settings.target.name


def _named_run(runs: Path, run_id: str) -> RunJournal:
    path = runs / run_id / FILE_NAME
    if Path(run_id).name != run_id or not path.exists():
        raise SelectionError(
            f"there is no journal of a run {run_id}", help="look into target/runs/ for those there are"
        )
    found = read_journal(str(path))
    if found.ended_with == 0:
        raise SelectionError(f"run {run_id} has succeeded", help="there is nothing to go on with; build again")
    return found


def _has_a_plan(run: RunJournal) -> bool:
    return run.request is not None and bool(run.planned)


def _last_without_success(runs: Path, target: str) -> RunJournal:
    """Of several; one that has not planned anything, only if there is no other: it has changed nothing."""
    without_plan = None
    for folder in sorted(runs.iterdir(), reverse=True) if runs.is_dir() else ():
        path = folder / FILE_NAME
        if not path.exists():
            continue
        try:
            found = read_journal(str(path))
        except EngineError as error:
            raise SelectionError(
                f"the last run cannot be gone on with: {error.args[0]}", help="name another one with --resume-run ID"
            ) from error
        if found.target == target and found.ended_with != 0:
            if _has_a_plan(found):
                return found
            without_plan = without_plan or found
    if without_plan is not None:
        return without_plan
    raise SelectionError(
        f"no run on target {target} is known that did not succeed", help="there is nothing to go on with; build again"
    )


def _refuse_overtaken(past: Past, run: RunJournal) -> None:
    overtaken = _overtaken(past, run)
    if overtaken is not None:
        later, node = overtaken
        raise SelectionError(
            f"run {later} came after run {run.run_id} and had {name_of(node)} too",
            help="build again, or give --force to go on with the older run all the same",
        )


def _overtaken(past: Past, run: RunJournal) -> tuple[str, NodeId] | None:
    """A later run that has written one of the nodes, and which."""
    assert run.run_id is not None
    for node in run.planned:
        if kind_of(node) in _LOOKING:
            continue
        stored = past.nodes.get(node)
        # Ids of runs sort by time.
        if stored is not None and stored.last_run_id > run.run_id:
            return stored.last_run_id, node
    return None


def _results(run: RunJournal, nodes: Any) -> dict[NodeId, NodeResult]:
    return {node: result_from_json(run.records[node]) for node in nodes}
