from __future__ import annotations

import pytest

from sqlbuild.domain.past import Past
from sqlbuild.domain.selection import Selection
from sqlbuild.errors import SelectionError
from sqlbuild.selector.grammar import parse
from sqlbuild.selector.methods import NodeFinder
from sqlbuild.selector.select_nodes import select_only


@pytest.fixture
def found(shop, shop_past):
    def find(text: str) -> list[str]:
        nodes = NodeFinder(shop, shop_past).find(parse(text).terms[0].start)
        return [node.partition(":")[2] for node in shop.nodes if node in nodes]

    return find


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("fact_orders", "fact_orders"),
        ("raw_orders", "raw_orders"),
        ("stg_*", "stg_orders stg_payments"),
        ("*_orders", "raw_orders stg_orders fact_orders export_orders"),
        ("[de]*", "daily_revenue export_orders export_payments dashboard"),
        ("model:fact_orders", "fact_orders"),
        ("asset:*", "export_orders export_payments dashboard"),
        ("model:*orders", "stg_orders fact_orders"),
        ("source:*", "raw_orders raw_payments"),
        ("loader:*", ""),
        ("seed:*", ""),
        ("test:*", ""),
        ("tag:marts", "fact_orders daily_revenue"),
        ("tag:daily", "notify export_orders"),
        ("tag:external", "raw_orders"),
        ("tag:*i*", "stg_orders stg_payments notify export_orders"),
        ("group:finance", "fact_orders daily_revenue"),
        ("group:reports", "dashboard"),
        ("path:models", "stg_orders stg_payments fact_orders daily_revenue"),
        ("models/marts", "fact_orders daily_revenue"),
        ("./models/marts/", "fact_orders daily_revenue"),
        ("models/marts/fact_orders.sql", "fact_orders"),
        ("assets/exports.py", "export_orders export_payments"),
        ("models/*/stg_*.sql", "stg_orders stg_payments"),
        ("path:assets/e*", "export_orders export_payments"),
        ("path:[mt]*s/", "stg_orders stg_payments fact_orders daily_revenue notify"),
        ("sources/raw.yml", "raw_orders raw_payments"),
        ("state:new", "dashboard"),
        ("state:changed", "fact_orders"),
        ("state:failed", "export_orders"),
        ("result:succeeded", "stg_orders stg_payments fact_orders daily_revenue export_payments"),
        ("result:failed", "export_orders"),
        ("result:timed_out", "export_orders"),
        ("result:unknown", ""),
        ("result:skipped", "notify"),
        ("result:blocked", "dashboard"),
    ],
)
def test_each_way_of_naming_nodes_finds_its_nodes(found, text, names):
    assert found(text) == names.split()


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("fact_order", "nothing in this project is called 'fact_order'", "did you mean 'fact_orders'"),
        ("FACT_ORDERS", "nothing in this project is called 'FACT_ORDERS'", "did you mean 'fact_orders'"),
        ("zzzz", "nothing in this project is called 'zzzz'", "'sqb list' shows every name"),
        ("fact_orders.sql", "nothing in this project is called 'fact_orders.sql'", "'models/marts/fact_orders.sql'"),
        ("zz*", "no name in this project matches 'zz*'", "'sqb list' shows every name"),
        ("asset:fact_orders", "no asset is called 'fact_orders'", "there is 'model:fact_orders'"),
        ("asset:export_order", "no asset is called 'export_order'", "did you mean 'export_orders'"),
        ("model:z*", "no model matches 'z*'", "'sqb list' shows every name"),
        ("loader:orders", "no loader is called 'orders': this project has no loaders", "did you mean"),
        ("check:x", "no check is called 'x': this project has no checks", "'sqb list' shows every name"),
        ("tag:mart", "no node has the tag 'mart'", "did you mean 'marts'?"),
        ("tag:zzz", "no node has the tag 'zzz'", "the tags of this project are daily, external, marts, pii, staging"),
        ("group:finanze", "no node has the group 'finanze'", "did you mean 'finance'?"),
        ("models/mart", "no node is declared under 'models/mart'", "did you mean 'models/marts'"),
        ("models/*/zzz", "no node is declared under 'models/*/zzz'", ""),
        ("/models", "no node is declared under '/models'", ""),
        ("path:zzzzzzz", "no node is declared under 'zzzzzzz'", "relative to the project root"),
    ],
)
def test_what_the_project_does_not_have_is_an_error_with_the_nearest(found, text, message, help):
    with pytest.raises(SelectionError) as raised:
        found(text)
    assert str(raised.value) == message
    assert help in raised.value.help


def test_without_labels_the_help_says_so(make_graph):
    with pytest.raises(SelectionError) as raised:
        select_only(make_graph({"task:a": []}), Past(), Selection(select=("tag:x",)))
    assert raised.value.help == "no node has a tag"


def test_everything_is_new_in_an_empty_target_but_sources(shop):
    new = select_only(shop, Past(), Selection(select=("state:new",)))
    assert new == {id for id in shop.nodes if not id.startswith("source:")}


def test_a_last_run_of_nodes_that_are_gone_names_nothing(make_graph, shop_past):
    graph = make_graph({"task:a": []})
    assert select_only(graph, shop_past, Selection(select=("result:failed",))) == frozenset()
