from __future__ import annotations

import dataclasses

import pytest

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.nodes import LoadSettings
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.results import Status
from sqlbuild.domain.selection import Selection
from sqlbuild.errors import SelectionError
from sqlbuild.planner.build_plan import build_plan
from sqlbuild.selector.select_nodes import select_nodes

SUCCEEDED = PastNode(last_status=Status.SUCCEEDED, last_run_id="R1", last_success_run_id="R1")
LOADERS = ("loader:stage", "loader:orders")
TABLES = ("orders", "__loader__stage")


@pytest.fixture(scope="module")
def shop(make_graph, make_node):
    """token, stage > loader orders > source orders > model fact > asset export; task prepare beside it."""

    def table(name):
        return {"compiled": {"relation": Relation("", "main", name)}}

    return make_graph(
        make_node("task:token"),
        make_node("loader:stage", **table("__loader__stage")),
        make_node("loader:orders", ["task:token", "loader:stage"], **table("orders")),
        make_node("source:orders", ["loader:orders"], load=LoadSettings()),
        make_node("source:plain"),
        make_node("model:fact", ["source:orders", "source:plain"]),
        make_node("task:prepare"),
        make_node("asset:export", ["model:fact", "task:prepare"]),
    )


def past_of(*nodes, tables=TABLES):
    return Past(
        nodes=dict.fromkeys(nodes, SUCCEEDED), relations=frozenset(Relation("", "main", name) for name in tables)
    )


def selected(graph, past, *select, **options):
    return set(select_nodes(graph, past, Selection(select=select, **options)).nodes)


EVERYTHING_LOADED = past_of("task:token", *LOADERS)


def test_the_name_of_a_managed_source_is_its_loaders_too(shop):
    assert selected(shop, EVERYTHING_LOADED, "orders") == {"source:orders", "loader:orders"}
    assert selected(shop, EVERYTHING_LOADED, "loader:orders") == {"loader:orders"}


def test_all_upstreams_of_a_model_hold_the_loaders_behind_its_sources(shop):
    found = selected(shop, EVERYTHING_LOADED, "+fact")
    assert found == {"model:fact", "source:orders", "source:plain", *LOADERS, "task:token"}


def test_a_model_alone_reads_a_managed_source_that_is_there_as_it_stands(shop):
    assert selected(shop, EVERYTHING_LOADED, "fact") == {"model:fact"}
    assert selected(shop, past_of(tables=("orders",)), "fact") == {"model:fact"}


def test_a_managed_source_that_is_not_there_is_loaded_with_all_that_it_lacks(shop):
    found = selected(shop, Past(), "fact")
    assert found == {"model:fact", "source:orders", *LOADERS, "task:token"}
    some = selected(shop, past_of("task:token", *LOADERS, tables=("__loader__stage",)), "fact")
    assert some == {"model:fact", "source:orders", "loader:orders"}


def test_a_model_waits_for_the_loader_and_the_source_is_no_step(shop):
    plan = build_plan(shop, select_nodes(shop, Past(), Selection(select=("fact",))), Past(), target="dev")
    assert list(plan.steps) == ["task:token", *LOADERS, "model:fact"]
    assert plan.steps["model:fact"].upstream == ("loader:orders",)


def test_no_loader_runs_where_loading_is_off(shop):
    loaded = EVERYTHING_LOADED
    assert not {*LOADERS} & selected(shop, loaded, load=False)
    assert selected(shop, loaded, "+fact", load=False) == {"model:fact", "source:orders", "source:plain", "task:token"}
    with pytest.raises(SelectionError, match="source:orders needs loader:orders, which never succeeded in this target"):
        selected(shop, Past(), "fact", load=False)


def test_a_source_that_is_there_needs_no_loader_even_if_none_of_ours_filled_it(shop):
    filled_elsewhere = past_of(tables=("orders",))
    assert selected(shop, filled_elsewhere, "source:orders", "fact") == {"source:orders", "model:fact"}
    assert "model:fact" in selected(shop, filled_elsewhere, load=False)


def test_a_managed_source_alone_is_no_step_and_the_help_names_its_loader(shop):
    chosen = select_nodes(shop, EVERYTHING_LOADED, Selection(select=("source:orders",)))
    with pytest.raises(SelectionError) as raised:
        build_plan(shop, chosen, EVERYTHING_LOADED, target="dev")
    assert "select 'loader:orders' to load it, or 'source:orders+'" in raised.value.help


def test_without_python_loaders_run_with_what_they_need_and_nothing_else_does(shop):
    found = selected(shop, EVERYTHING_LOADED, no_python=True)
    assert found == {"source:orders", "source:plain", "model:fact", *LOADERS, "task:token"}
    assert selected(shop, Past(), "fact", no_python=True) == {"model:fact", "source:orders", *LOADERS, "task:token"}
    with pytest.raises(SelectionError, match="--no-python leaves no node"):
        selected(shop, EVERYTHING_LOADED, "token", no_python=True)


@pytest.mark.parametrize(
    ("select", "found"),
    [
        ((), {*LOADERS}),
        (("source:orders",), {"loader:orders"}),
        (("orders",), {"loader:orders"}),
        (("+fact",), {*LOADERS}),
        (("stage",), {"loader:stage"}),
    ],
)
def test_loaders_alone_are_those_that_are_selected_and_those_of_selected_sources(shop, select, found):
    assert selected(shop, EVERYTHING_LOADED, *select, loaders_alone=True) == found


def test_loaders_alone_bring_what_they_need_and_the_target_lacks(shop):
    assert selected(shop, Past(), "orders", loaders_alone=True) == {*LOADERS, "task:token"}


def test_nothing_to_load_is_an_error_that_says_so(shop, make_graph):
    with pytest.raises(SelectionError, match="there is no loader of what is selected"):
        selected(shop, EVERYTHING_LOADED, "export", loaders_alone=True)
    with pytest.raises(SelectionError, match="there is no loader in this project"):
        selected(make_graph({"task:a": []}), Past(), loaders_alone=True)
    assert selected(shop, EVERYTHING_LOADED, "export", loaders_alone=True, allow_empty=True) == set()


def test_a_loader_lacks_if_it_never_succeeded_or_its_table_is_gone(shop):
    loader = shop.nodes["loader:orders"]
    assert Past().lacks(loader)
    assert past_of(tables=("orders",)).lacks(loader)
    assert past_of("loader:orders", tables=()).lacks(loader)
    assert not past_of("loader:orders").lacks(loader)


def test_only_a_managed_source_can_lack(shop):
    assert Past().lacks(shop.nodes["source:orders"])
    plain = dataclasses.replace(shop.nodes["source:plain"], relation=Relation("", "main", "nowhere"))
    assert not Past().lacks(plain)
