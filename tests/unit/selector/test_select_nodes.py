from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.domain.past import Past
from sqlbuild.domain.results import Status
from sqlbuild.domain.selection import Selected, Selection
from sqlbuild.errors import SelectionError
from sqlbuild.selector.select_nodes import select_nodes, select_only


@pytest.fixture(scope="session")
def names_of(shop, shop_past):
    def names(*select: str, exclude: tuple[str, ...] = (), **options: bool) -> list[str]:
        nodes = select_only(shop, shop_past, Selection(select=select, exclude=exclude, **options))
        return [node.partition(":")[2] for node in shop.nodes if node in nodes]

    return names


EVERYTHING = (
    "raw_orders raw_payments stg_orders stg_payments fact_orders daily_revenue notify export_orders export_payments"
    " dashboard"
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("+fact_orders", "raw_orders raw_payments stg_orders stg_payments fact_orders"),
        ("1+fact_orders", "stg_orders stg_payments fact_orders"),
        ("0+fact_orders", "fact_orders"),
        ("fact_orders+", "fact_orders daily_revenue notify export_orders dashboard"),
        ("fact_orders+1", "fact_orders daily_revenue notify export_orders"),
        (
            "+fact_orders+",
            "raw_orders raw_payments stg_orders stg_payments fact_orders daily_revenue notify export_orders dashboard",
        ),
        ("1+fact_orders+1", "stg_orders stg_payments fact_orders daily_revenue notify export_orders"),
        ("raw_payments+1", "raw_payments stg_payments"),
        ("+tag:daily", "raw_orders raw_payments stg_orders stg_payments fact_orders notify export_orders"),
        ("1+export_*", "stg_payments fact_orders export_orders export_payments"),
        ("models/staging+1", "stg_orders stg_payments fact_orders export_payments"),
        ("stg_payments~dashboard", "stg_payments fact_orders export_orders export_payments dashboard"),
        ("stg_orders~dashboard", "stg_orders fact_orders export_orders dashboard"),
        ("fact_orders~fact_orders", "fact_orders"),
        ("tag:staging~tag:daily", "stg_orders stg_payments fact_orders notify export_orders"),
        ("1+stg_orders~export_orders+", "raw_orders stg_orders fact_orders export_orders dashboard"),
        ("tag:marts,path:models", "fact_orders daily_revenue"),
        ("+dashboard,tag:staging", "stg_orders stg_payments"),
        ("model:*,fact_orders+,tag:marts", "fact_orders daily_revenue"),
        ("tag:staging,tag:marts", ""),
        ("state:changed+,asset:*", "export_orders dashboard"),
        ("*", EVERYTHING),
        ("./", EVERYTHING),
    ],
)
def test_a_selector_selects_its_nodes(names_of, text, names):
    assert names_of(text) == names.split()


def test_without_selectors_everything_is_selected(names_of):
    assert names_of() == EVERYTHING.split()


def test_several_selectors_are_a_union_and_excluded_nodes_leave_it(names_of):
    assert names_of("notify", "tag:marts", exclude=("daily_*",)) == ["fact_orders", "notify"]
    assert names_of(exclude=("+fact_orders+",)) == ["export_payments"]


def test_no_python_leaves_out_tasks_and_assets(names_of):
    assert names_of("+notify", "dashboard", no_python=True) == [
        "raw_orders",
        "raw_payments",
        "stg_orders",
        "stg_payments",
        "fact_orders",
    ]


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("dashboard~stg_orders", "no path leads from 'dashboard' to 'stg_orders'", "write 'stg_orders~dashboard'"),
        ("+notify~asset:dashboard", "no path leads from 'notify' to 'asset:dashboard'", "sqb dag"),
    ],
)
def test_a_path_that_is_not_there_is_an_error(names_of, text, message, help):
    with pytest.raises(SelectionError) as raised:
        names_of(text)
    assert str(raised.value) == message
    assert help in raised.value.help


def test_an_unknown_name_in_exclude_is_an_error_too(names_of):
    with pytest.raises(SelectionError, match="called 'stg_order'"):
        names_of(exclude=("stg_order",))


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(select=("result:unknown", "loader:*")), "no node matches 'result:unknown' or 'loader:*'"),
        (Selection(select=("tag:daily",), exclude=("notify", "export_orders")), "--exclude leaves no node"),
        (Selection(select=("notify",), no_python=True), "--no-python leaves no node"),
        (
            Selection(select=("tag:daily",), exclude=("notify",), no_python=True),
            "--exclude and --no-python leave no node",
        ),
    ],
)
def test_an_empty_selection_is_an_error_that_says_why(shop, shop_past, selection, message):
    with pytest.raises(SelectionError) as raised:
        select_nodes(shop, shop_past, selection)
    assert str(raised.value) == f"nothing is selected: {message}"
    assert "--allow-empty" in raised.value.help


def test_an_empty_selection_may_be_allowed(shop, shop_past):
    selected = select_nodes(shop, shop_past, Selection(select=("result:unknown",), allow_empty=True))
    assert (selected.nodes, selected.required, selected.allow_empty) == (frozenset(), frozenset(), True)


def test_an_empty_project_has_nothing_to_run(make_graph):
    with pytest.raises(SelectionError, match="the project has nothing to run yet"):
        select_nodes(make_graph(), Past(), Selection())
    assert select_only(make_graph(), Past(), Selection()) == frozenset()


def test_what_the_target_lacks_is_added_and_marked(shop):
    selected = select_nodes(shop, Past(), Selection(select=("export_payments",)))
    assert selected.nodes == {"model:stg_payments", "asset:export_payments"}
    assert selected.required == {"model:stg_payments"}


def test_a_long_chain_is_selected_without_recursion(make_graph):
    chain = make_graph({f"task:t{n}": [f"task:t{n - 1}"] if n else [] for n in range(20_000)})
    everything = select_nodes(chain, Past(), Selection(select=("t19999",)))
    assert len(everything.required) == 19_999
    assert select_only(chain, Past(), Selection(select=("t0~t19999",))) == everything.nodes
    assert select_only(chain, Past(), Selection(select=("+t9999+",))) == everything.nodes


WORDS = st.sampled_from(
    ["+", "2+", "~", ",", ":", "/", "*", "[", "]", "?", "!", "-", ".", " ", "tag:", "state:", "result:", "path:"]
    + ["fact_orders", "stg_*", "marts", "failed", "new", "asset:", "loader:", "models/", "dashboard", "notify"]
)


@given(st.lists(st.lists(WORDS | st.text(max_size=3), max_size=6).map("".join), max_size=3))
def test_no_text_breaks_the_selector(shop, shop_past, texts):
    selected, help = None, ""
    try:
        selected = select_nodes(shop, shop_past, Selection(select=tuple(texts), exclude=tuple(texts[1:])))
    except SelectionError as error:
        help = error.help
    assert help or (selected and selected.required <= selected.nodes <= set(shop.nodes))


def names(found: Selected) -> set[str]:
    return {node.partition(":")[2] for node in found.nodes}


def test_changed_means_what_is_not_up_to_date_and_what_depends_on_it(shop, shop_past):
    found = select_nodes(shop, shop_past, Selection(changed=True))
    assert names(found) == {"fact_orders", "daily_revenue", "notify", "export_orders", "dashboard"}
    assert (found.required, found.changed) == (frozenset(), True)
    narrowed = select_nodes(shop, shop_past, Selection(select=("stg_payments+",), changed=True))
    assert names(narrowed) == {"fact_orders", "daily_revenue", "notify", "export_orders", "dashboard"}


def test_what_was_built_after_its_readers_makes_them_run(shop, shop_past):
    def past(run: str = "R3", **later: float) -> Past:
        times = {f"model:{name}": when for name, when in later.items()}
        nodes = {
            id: stored._replace(
                last_status=Status.SUCCEEDED,
                last_success_run_id=run if id in times else "R2",
                last_success_at=times.get(id, 100.0),
                last_success_fingerprint=shop.nodes[id].fingerprint.stored(),
            )
            for id, stored in shop_past.nodes.items()
        }
        return dataclasses.replace(shop_past, nodes=nodes)

    everything = Selection(changed=True)
    assert select_nodes(shop, past(), everything).nodes == frozenset()
    assert select_nodes(shop, past("R2", stg_payments=101.0), everything).nodes == frozenset()
    assert names(select_nodes(shop, past(stg_payments=101.0), everything)) == {
        "fact_orders", "daily_revenue", "notify", "export_orders", "export_payments", "dashboard",
    }  # fmt: skip


def test_nothing_changed_is_no_error_but_an_unknown_name_is(shop, shop_past):
    assert select_nodes(shop, shop_past, Selection(select=("stg_orders",), changed=True)).nodes == frozenset()
    with pytest.raises(SelectionError, match="stg_order"):
        select_nodes(shop, shop_past, Selection(select=("stg_order",), changed=True))
