"""`sqb show NODE --logs`: what a node said in one run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from sqlbuild.app.options import Compiled
from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import PYTHON_KINDS
from sqlbuild.domain.record import record
from sqlbuild.domain.results import NodeResult
from sqlbuild.errors import SelectionError
from sqlbuild.state.log_lines import read_log
from sqlbuild.state.node_logs import logs_of_node, runs_of_target

_MANY = 3


@record(frozen=True, slots=True, kw_only=True)
class NodeLogReport:
    """The logs of one node in one run; without any, `note` says why."""

    node: Node
    run_id: str | None
    paths: Mapping[int, str]
    """By attempt; relative to the project's root."""
    note: str


def find_logs(
    compiled: Compiled, node: Node, results: Sequence[NodeResult], *, run_id: str | None, attempt: int | None
) -> NodeLogReport:
    """The logs of `node` in a run (default: the last in which it ran, by its last `results` and the folders of runs).

    Raises SelectionError for a run that is not there, and for an attempt that the node did not have in it.
    """
    root = compiled.project.root
    folder = os.path.join(root, "target", "runs")
    runs = runs_of_target(folder, compiled.project.settings.target.name)
    if run_id is not None and run_id not in runs:
        known = f"the newest here are {', '.join(runs[:_MANY])}" if runs else "no run of this target is kept here"
        raise SelectionError(f"there is no run {run_id} of target {compiled.project.settings.target.name}", help=known)
    heard = next((run for run in runs if logs_of_node(folder, run, node.name)), None)
    if node.kind not in PYTHON_KINDS and heard is None:
        note = (
            f"a {node.kind} has no log: only Python nodes do, and models whose hooks log something; "
            f"`sqb show {node.name}` tells its last results"
        )
        return NodeLogReport(node=node, run_id=None, paths={}, note=note)
    ran = next((result.run_id for result in results if result.attempt), None)
    chosen = run_id or max(filter(None, (heard, ran)), default=None)
    if chosen is None:
        note = f"{node.id} has not run yet, or its runs are not kept any more"
        return NodeLogReport(node=node, run_id=None, paths={}, note=note)
    attempts = max((result.attempt for result in results if result.run_id == chosen), default=0)
    if attempt is not None and 0 < attempts < attempt:
        had = "it had one attempt" if attempts == 1 else f"it had attempts 1 to {attempts}"
        raise SelectionError(f"{node.id} had no attempt {attempt} in run {chosen}", help=had)
    found = {number: os.path.relpath(path, root) for number, path in logs_of_node(folder, chosen, node.name).items()}
    wanted = {number: path for number, path in found.items() if attempt in (None, number)}
    note = "" if wanted else _silence(node, chosen, attempt, found, heard)
    return NodeLogReport(node=node, run_id=chosen, paths=wanted, note=note)


def log_messages(compiled: Compiled, path: str) -> list[dict[str, Any]]:
    """`{"at", "level", "message", "fields"}` of each message of a log."""
    with open(
        os.path.join(compiled.project.root, path), encoding="utf-8", errors="backslashreplace", newline="\n"
    ) as log:
        return list(read_log(log))


def with_logs(compiled: Compiled, results: Sequence[NodeResult]) -> tuple[NodeResult, ...]:
    """The results, each with the log of its last attempt if that is still there."""
    root = compiled.project.root
    folder = os.path.join(root, "target", "runs")
    logs = [logs_of_node(folder, result.run_id, result.name).get(result.attempt) for result in results]
    return tuple(
        dataclasses.replace(result, log=None if log is None else os.path.relpath(log, root))
        for result, log in zip(results, logs, strict=True)
    )


def _silence(node: Node, run_id: str, attempt: int | None, found: Mapping[int, str], heard: str | None) -> str:
    if found:
        others = ", ".join(map(str, found))
        return f"{node.id} said nothing in attempt {attempt} of run {run_id}; there are logs of attempt {others}"
    note = f"{node.id} said nothing in run {run_id}"
    return note if heard is None else f"{note}; its newest log: sqb show {node.name} --logs --run {heard}"
