from __future__ import annotations

import datetime

import pytest

from sqlbuild.domain.graph import Fingerprint, Graph, Node
from sqlbuild.domain.ids import NodeKind, Place, node_id
from sqlbuild.domain.incremental import BatchLimit, CursorType, Incremental, IncrementalStrategy, Refresh, Replay, Span
from sqlbuild.domain.nodes import Materialization, Model
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.results import Status
from sqlbuild.domain.selection import Selected
from sqlbuild.errors import SelectionError
from sqlbuild.planner.build_plan import build_plan
from sqlbuild.planner.incremental_builds import incremental_build

NOW = Fingerprint(code="c2", settings="s", upstream="u", total="t2")
WEEK = Replay(span=Span(0, 7 * 86_400))


def node_of(name: str = "mart", **grows: object) -> Node:
    fields = {"strategy": IncrementalStrategy.APPEND, "cursor": "at", "cursor_type": CursorType.TIMESTAMP} | grows
    model = Model(
        name=name,
        place=Place(f"models/{name}.sql", 1, 1),
        sql="SELECT 1",
        sql_line=2,
        materialized=Materialization.INCREMENTAL,
        incremental=Incremental(**fields),
    )
    return Node(
        id=node_id("model", name),
        kind=NodeKind.MODEL,
        name=name,
        place=model.place,
        declaration=model,
        fingerprint=NOW,
    )


def built_with(fingerprint: str) -> PastNode:
    return PastNode(
        last_status=Status.SUCCEEDED, last_run_id="R", last_success_run_id="R", last_success_fingerprint=fingerprint
    )


SAME, OTHER_CODE, OTHER_SETTINGS = built_with("t2:c2:s:u"), built_with("t1:c1:s:u"), built_with("t1:c2:s1:u1")


@pytest.mark.parametrize(
    ("grows", "past", "full", "span", "why"),
    [
        ({"replay": WEEK}, None, False, None, ""),
        ({"replay": WEEK}, SAME, False, None, ""),
        ({"replay": WEEK}, OTHER_SETTINGS, False, None, ""),
        ({"replay": WEEK}, OTHER_CODE, False, WEEK.span, "replay_on_change bounded-7d"),
        ({"replay": Replay(full=True)}, OTHER_CODE, True, None, "replay_on_change full"),
        ({"replay": Replay(full=True), "full_refresh": False}, OTHER_CODE, True, None, "replay_on_change full"),
        ({}, OTHER_CODE, False, None, "replay_on_change forward"),
        ({"full_refresh": True}, SAME, True, None, "full_refresh true"),
    ],
)
def test_a_model_decides_by_its_own_change_how_much_is_built_again(grows, past, full, span, why):
    build = incremental_build(node_of(**grows), past)
    assert build is not None
    assert (build.full, build.replay.span, build.why) == (full, span, why)


@pytest.mark.parametrize(("setting", "full"), [(None, True), (False, False), (True, True)])
def test_a_full_refresh_is_for_models_that_do_not_refuse_it(setting, full):
    build = incremental_build(node_of(full_refresh=setting), SAME, Refresh(full=True))
    assert build is not None
    assert build.full is full


def plan_of(*nodes: Node, refresh: Refresh):
    graph = Graph(nodes={node.id: node for node in nodes}, downstream={node.id: () for node in nodes})
    selected = Selected(nodes=frozenset(graph.nodes), required=frozenset(), allow_empty=False)
    return build_plan(graph, selected, Past(), target="dev", refresh=refresh)


def test_bounds_of_the_command_are_read_by_the_type_of_the_cursor():
    plan = plan_of(node_of(), refresh=Refresh(start="2026-04-01", end="2026-04-02T12:00:00"))
    build = plan.steps[node_id("model", "mart")].incremental
    assert build is not None
    assert build.start == datetime.datetime.fromisoformat("2026-04-01")
    assert build.end == datetime.datetime.fromisoformat("2026-04-02T12:00:00")


def test_bounds_that_cannot_be_of_every_cursor_are_refused():
    number = node_of("other", cursor_type=CursorType.INTEGER)
    with pytest.raises(
        SelectionError, match="both mart, whose cursor is a timestamp, and other, whose cursor is an integer"
    ):
        plan_of(node_of(), number, refresh=Refresh(start="3"))
    with pytest.raises(SelectionError, match="--end-cursor: 'x' is no whole number, as the cursor is of other"):
        plan_of(number, refresh=Refresh(end="x"))
    with pytest.raises(SelectionError, match="none is selected"):
        plan_of(node_of(cursor=None, cursor_type=None), refresh=Refresh(start="3"))


def test_the_commands_limit_of_batches_is_for_models_that_have_batches():
    asked = Refresh(most_batches=3, full=True)
    build = incremental_build(node_of(is_microbatch=True, batch_limit=BatchLimit(batches=9)), SAME, asked)
    assert (build.full, build.batch_limit) == (True, BatchLimit(batches=3))
    assert incremental_build(node_of(), SAME, asked).batch_limit is None
