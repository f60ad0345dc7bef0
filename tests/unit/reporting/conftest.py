"""Literal plans, results and runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from sqlbuild.domain.events import RunFinished, RunStarted
from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import NodeId, kind_of, name_of
from sqlbuild.domain.plans import Plan, Reason, Step
from sqlbuild.domain.results import ErrorFacts, NodeResult, RunResult, Status

START = 1_750_000_000.0
"""2025-06-15 15:06:40 UTC."""


@pytest.fixture(scope="session")
def start():
    return START


@pytest.fixture(scope="session")
def make_plan() -> Callable[..., Plan]:
    def make(graph: Graph, *, priorities: dict[str, float] | None = None, estimated: float | None = None) -> Plan:
        steps = {
            node.id: Step(
                node=node,
                upstream=node.depends_on,
                reason=Reason.FIRST_RUN,
                priority=(priorities or {}).get(node.id, 1.0),
            )
            for node in graph.nodes.values()
        }
        return Plan(target="dev", graph=graph, steps=steps, estimated_seconds=estimated)

    return make


@pytest.fixture(scope="session")
def started() -> Callable[..., RunStarted]:
    def make(plan: Plan, **lanes: int) -> RunStarted:
        return RunStarted(at=START, run_id="r1", target="dev", plan=plan, lanes=lanes)

    return make


@pytest.fixture(scope="session")
def make_error() -> Callable[..., ErrorFacts]:
    def make(message: str = "refused", **facts: object) -> ErrorFacts:
        return ErrorFacts(**{"type": "OSError", "message": message, "path": "assets/a.py", "line": 7, **facts})

    return make


@pytest.fixture(scope="session")
def make_result() -> Callable[..., NodeResult]:
    def make(id: str, status: str = "succeeded", **facts: object) -> NodeResult:
        ran = status not in ("blocked", "not_started")
        values = {"attempt": 1 if ran else 0, "duration": 0.25 if ran else 0.0, **facts}
        node = NodeId(id)
        return NodeResult(
            run_id="r1", node_id=node, kind=kind_of(node), name=name_of(node), status=Status(status), **values
        )

    return make


@pytest.fixture(scope="session")
def make_run() -> Callable[..., RunResult]:
    def make(results: Iterable[NodeResult], *, seconds: float = 2.0, exit_code: int = 0, **facts: object) -> RunResult:
        return RunResult(
            run_id="r1",
            target="dev",
            started_at=START,
            finished_at=START + seconds,
            results={result.node_id: result for result in results},
            exit_code=exit_code,
            **facts,
        )

    return make


@pytest.fixture(scope="session")
def finished() -> Callable[..., RunFinished]:
    def make(run: RunResult) -> RunFinished:
        return RunFinished(at=run.finished_at, result=run)

    return make
