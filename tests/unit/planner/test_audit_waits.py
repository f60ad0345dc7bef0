from __future__ import annotations

import pytest

from sqlbuild.domain.graph import gates_among
from sqlbuild.domain.incremental import Incremental, IncrementalStrategy
from sqlbuild.domain.nodes import Severity
from sqlbuild.domain.past import Past
from sqlbuild.domain.selection import Selected
from sqlbuild.planner.audit_waits import audit_waits
from sqlbuild.planner.build_plan import build_plan


@pytest.fixture
def audited(make_graph, make_node):
    """Nodes, and audits of them: name -> (target, what else it reads, severity)."""

    def make(nodes, audits):
        made = [make_node(id, upstream) for id, upstream in nodes.items()]
        for name, (target, others, severity) in audits.items():
            made.append(make_node(f"audit:{name}", [target, *others], target=target, severity=severity))
        return make_graph(*made)

    return make


ERROR, WARN = Severity.ERROR, Severity.WARN


def test_a_model_waits_for_what_its_gates_read_if_that_is_in_the_run(audited):
    graph = audited(
        {"loader:raw": [], "source:raw": ["loader:raw"], "model:a": [], "model:b": []},
        {"b.known": ("model:b", ["model:a", "source:raw"], ERROR), "b.perhaps": ("model:b", ["model:a"], WARN)},
    )
    everything = set(graph.nodes)
    assert audit_waits(graph, everything) == {"model:b": ("model:a", "loader:raw")}
    assert audit_waits(graph, everything - {"model:a"}) == {"model:b": ("loader:raw",)}
    assert audit_waits(graph, everything - {"model:b"}) == {}
    assert audit_waits(graph, everything - {"audit:b.known"}) == {}
    assert gates_among(graph, everything) == {"audit:b.known": "model:b"}
    assert gates_among(graph, everything - {"model:b"}) == {}


def test_whoever_reads_a_source_waits_for_its_audits_but_they_do_not_wait_for_each_other(audited):
    graph = audited(
        {"source:raw": [], "model:a": ["source:raw"], "task:t": ["source:raw"], "model:b": ["model:a"]},
        {
            "raw.one": ("source:raw", [], ERROR),
            "raw.two": ("source:raw", [], ERROR),
            "raw.three": ("source:raw", [], WARN),
        },
    )
    guards = ("audit:raw.one", "audit:raw.two")
    assert audit_waits(graph, set(graph.nodes)) == {"model:a": guards, "task:t": guards}


def test_a_model_waits_for_the_audits_of_a_source_that_its_gate_reads(audited):
    graph = audited(
        {"source:raw": [], "model:a": []},
        {"raw.one": ("source:raw", [], ERROR), "a.known": ("model:a", ["source:raw"], ERROR)},
    )
    waits = audit_waits(graph, set(graph.nodes))
    assert waits == {"audit:a.known": ("audit:raw.one",), "model:a": ("audit:raw.one",)}


def test_readers_of_an_incremental_model_wait_for_its_audits_and_it_has_no_gates(make_graph, make_node):
    graph = make_graph(
        make_node("model:other"),
        make_node("model:a", incremental=Incremental(strategy=IncrementalStrategy.APPEND)),
        make_node("audit:a.one", ["model:a", "model:other"], target="model:a"),
        make_node("model:b", ["model:a"]),
    )
    assert gates_among(graph, set(graph.nodes)) == {}
    assert audit_waits(graph, set(graph.nodes)) == {"model:a": ("model:other",), "model:b": ("audit:a.one",)}


def test_gates_are_as_urgent_as_what_waits_for_their_model(audited):
    graph = audited(
        {"model:a": [], "model:b": ["model:a"], "model:c": ["model:b"]},
        {"a.one": ("model:a", [], ERROR), "a.warns": ("model:a", [], WARN), "c.one": ("model:c", [], ERROR)},
    )
    plan = build_plan(graph, Selected(nodes=frozenset(graph.nodes), required=frozenset()), Past(), target="dev")
    seconds = {node: step.priority for node, step in plan.steps.items()}
    assert seconds == {
        "model:a": 5.0,
        "audit:a.one": 4.0,
        "audit:a.warns": 1.0,
        "model:b": 3.0,
        "model:c": 2.0,
        "audit:c.one": 1.0,
    }
    assert plan.critical_path == ("model:a", "audit:a.one", "model:b", "model:c", "audit:c.one")
