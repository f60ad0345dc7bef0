from __future__ import annotations

import pytest

from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.results import Status
from sqlbuild.domain.selection import Selection
from sqlbuild.errors import SelectionError
from sqlbuild.selector.select_nodes import select_nodes, select_only


@pytest.fixture(scope="session")
def shop(make_graph, make_node):
    """Orders and customers with checks of one of them, of both, and of a source."""
    return make_graph(
        make_node("source:raw", path="sources/raw.yml"),
        make_node("model:orders", ["source:raw"]),
        make_node("model:customers"),
        make_node("task:notify", ["model:orders"]),
        make_node("check:orders_ok", ["model:orders"], tags=("nightly",)),
        make_node("check:both_ok", ["model:orders", "model:customers"]),
        make_node("check:raw_fresh", ["source:raw"]),
        make_node("check:notified", ["task:notify"]),
    )


@pytest.fixture(scope="session")
def built(shop):
    succeeded = PastNode(last_status=Status.SUCCEEDED, last_run_id="R1", last_success_run_id="R1")
    relations = frozenset(node.relation for node in shop.nodes.values() if node.relation is not None)
    return Past(nodes=dict.fromkeys(shop.nodes, succeeded), relations=relations, last_run_id="R1")


@pytest.fixture(scope="session")
def build_of(shop, built):
    def names(*select: str, past: Past = built, **options) -> set[str]:
        selected = select_nodes(shop, past, Selection(select=select, **options))
        return {node.partition(":")[2] for node in selected.nodes}

    return names


@pytest.mark.parametrize(
    ("select", "names"),
    [
        ("orders", "orders orders_ok both_ok"),
        ("customers", "customers both_ok"),
        ("+orders", "raw orders orders_ok both_ok raw_fresh"),
        ("orders+", "orders notify orders_ok both_ok notified"),
        ("notify", "notify notified"),
    ],
)
def test_checks_come_along_with_what_they_look_at(build_of, select, names):
    assert build_of(select) == set(names.split())


def test_no_audits_leaves_them_out(build_of):
    assert build_of("orders", no_checks=True) == {"orders"}
    assert build_of(no_checks=True) == {"raw", "orders", "customers", "notify"}


def test_no_python_leaves_them_out_too(build_of):
    assert build_of("orders", no_python=True) == {"orders"}


def test_an_excluded_check_does_not_come_along(build_of):
    assert build_of("orders", exclude=("both_ok",)) == {"orders", "orders_ok"}


def test_a_check_of_nothing_but_excluded_nodes_is_no_part_of_everything(build_of):
    assert build_of(exclude=("orders", "notify")) == {"raw", "customers", "both_ok", "raw_fresh"}


@pytest.mark.parametrize("selector", ["orders_ok", "check:orders_ok", "tag:nightly", "checks/orders_ok.py", "orders_*"])
def test_a_check_that_a_selector_names_runs_against_what_exists(build_of, selector):
    assert build_of(selector) == {"orders_ok"}


def test_what_a_named_check_looks_at_is_built_if_the_target_lacks_it(build_of):
    assert build_of("both_ok", past=Past()) == {"orders", "customers", "both_ok", "orders_ok"}


def test_a_check_that_lacks_something_else_is_left_out_with_a_warning(shop):
    selected = select_nodes(shop, Past(), Selection(select=("customers",)))
    assert selected.nodes == {"model:customers"}
    assert selected.warnings == ("check:both_ok is left out: this target has no model:orders",)


def test_going_down_reaches_checks_only_where_another_selector_names_them(shop, built):
    def names(*select: str) -> set[str]:
        return set(select_only(shop, built, Selection(select=select)))

    assert names("orders+") == {"model:orders", "task:notify"}
    assert names("check:*,orders+") == {"check:orders_ok", "check:both_ok", "check:notified"}
    assert names("+orders_ok") == {"source:raw", "model:orders", "check:orders_ok"}


def test_excluding_what_comes_after_a_node_excludes_its_checks(build_of):
    assert build_of("customers", exclude=("orders+",)) == {"customers"}


def test_a_check_of_a_source_comes_along_with_what_fills_it(make_graph, make_node):
    graph = make_graph(
        make_node("loader:raw"),
        make_node("source:raw", compiled={"depends_on": ("loader:raw",)}),
        make_node("check:raw_fresh", ["source:raw"]),
    )
    selected = select_nodes(graph, Past(), Selection(select=("loader:raw",), load=True))
    assert "check:raw_fresh" in selected.nodes


class TestAlone:
    @pytest.mark.parametrize(
        ("select", "names"),
        [
            ((), "orders_ok both_ok raw_fresh notified"),
            (("customers",), "both_ok"),
            (("raw",), "raw_fresh"),
            (("both_ok", "notify"), "both_ok notified"),
            (("tag:nightly",), "orders_ok"),
        ],
    )
    def test_checks_and_the_checks_of_other_nodes_are_selected(self, build_of, select, names):
        assert build_of(*select, checks_alone=True) == set(names.split())

    def test_excluding_a_node_excludes_its_checks(self, build_of):
        assert build_of(checks_alone=True, exclude=("orders", "raw_fresh")) == {"notified"}

    def test_what_was_never_built_is_an_error_that_names_it(self, build_of):
        with pytest.raises(SelectionError, match="check:notified needs task:notify, which never succeeded") as caught:
            build_of("notified", past=Past(), checks_alone=True)
        assert "sqb build notify" in caught.value.help

    def test_nothing_to_check_is_an_error_unless_allowed(self, build_of):
        with pytest.raises(SelectionError, match="there is no check of what is selected"):
            build_of("customers", checks_alone=True, exclude=("both_ok",))
        assert build_of("customers", checks_alone=True, exclude=("both_ok",), allow_empty=True) == set()

    def test_a_project_without_checks_is_told_how_to_get_one(self, make_graph, make_node):
        with pytest.raises(SelectionError, match="there is no check in this project") as caught:
            select_nodes(make_graph(make_node("model:a")), Past(), Selection(checks_alone=True))
        assert "@check" in caught.value.help


def test_nothing_but_checks_without_audits_is_an_empty_selection(build_of):
    with pytest.raises(SelectionError, match="--no-audits leaves no node"):
        build_of("orders_ok", no_checks=True)
