from __future__ import annotations

import pytest

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.past import Past
from sqlbuild.domain.selection import Selection
from sqlbuild.errors import SelectionError
from sqlbuild.selector.select_nodes import select_nodes, select_only


@pytest.fixture
def graph(make_graph, make_node):
    """Orders of a source, customers, a mart of both, and audits of all of them."""
    return make_graph(
        make_node("source:raw", path="sources/raw.yml"),
        make_node("audit:raw.not_null(id)", ["source:raw"], target="source:raw", path="sources/raw.yml"),
        make_node("model:orders", ["source:raw"], path="models/orders.sql"),
        make_node("model:customers", path="models/customers.sql"),
        make_node("audit:orders.unique(id)", ["model:orders"], target="model:orders", path="models/orders.sql"),
        make_node(
            "audit:orders.known", ["model:orders", "model:customers"], target="model:orders", path="models/orders.sql"
        ),
        make_node("model:mart", ["model:orders", "model:customers"], path="models/marts/mart.sql"),
        make_node("audit:mart.not_null(id)", ["model:mart"], target="model:mart", path="models/marts/mart.sql"),
        make_node("audit:totals", ["model:mart", "model:customers"], path="audits/singular/totals.sql"),
    )


BUILT = Past(relations=frozenset(Relation("", "main", name) for name in ("orders", "customers", "mart")))


def names(graph, past=BUILT, **selection):
    selected = select_nodes(graph, past, Selection(**selection))
    return {node.partition(":")[2] for node in selected.nodes if not node.startswith("source:")}


OF_ORDERS = {"raw.not_null(id)", "orders.unique(id)", "orders.known"}


def test_the_audits_of_what_is_built_and_of_the_sources_it_reads_come_along(graph):
    assert names(graph, select=("orders",)) == {"orders", *OF_ORDERS}
    assert names(graph, select=("mart",)) == {"mart", "mart.not_null(id)", "totals"}
    assert names(graph, select=("customers",)) == {"customers", "totals"}
    assert names(graph, select=("+orders",)) == {"orders", *OF_ORDERS}
    assert names(graph, select=("orders+",)) == {"orders", "mart", "mart.not_null(id)", "totals", *OF_ORDERS}


def test_what_an_audit_reads_and_the_target_lacks_is_built_too(graph):
    lacking = Past(relations=frozenset())
    assert names(graph, lacking, select=("orders",)) == {"orders", "customers", *OF_ORDERS}
    with pytest.raises(SelectionError, match=r"audit:orders\.known needs model:customers, which is not in this target"):
        names(graph, lacking, select=("orders",), only=True)


def test_a_singular_audit_that_lacks_something_is_left_out_with_a_warning(graph):
    selected = select_nodes(graph, Past(relations=frozenset()), Selection(select=("customers",)))
    assert selected.nodes == {"model:customers"}
    assert selected.warnings == ("audit:totals is left out: this target has no model:mart",)


def test_audits_can_be_left_out_together_one_by_one_and_with_what_they_look_at(graph):
    assert names(graph, no_checks=True) == {"orders", "customers", "mart"}
    assert names(graph, select=("orders",), exclude=("audit:orders.known",)) == {
        "orders",
        "raw.not_null(id)",
        "orders.unique(id)",
    }
    without = {"customers", "mart", "mart.not_null(id)", "totals"}
    assert names(graph, exclude=("orders",)) == {*without, "raw.not_null(id)"}
    assert names(graph, select=("path:models",), exclude=("orders",)) == without


def test_one_audit_can_be_selected_by_its_name(graph):
    assert names(graph, select=("audit:orders.unique(id)",)) == {"orders.unique(id)"}
    assert names(graph, select=("orders.unique(id)",)) == {"orders.unique(id)"}
    found = select_only(graph, BUILT, Selection(select=("audit:orders.*",)))
    assert found == {"audit:orders.unique(id)", "audit:orders.known"}


def test_audits_run_alone_are_those_named_and_those_of_the_nodes_that_are_named(graph):
    assert names(graph, audits_alone=True) == {*OF_ORDERS, "mart.not_null(id)", "totals"}
    assert names(graph, audits_alone=True, select=("orders",)) == {"orders.unique(id)", "orders.known"}
    assert names(graph, audits_alone=True, select=("raw",)) == {"raw.not_null(id)"}
    assert names(graph, audits_alone=True, select=("path:models/marts", "totals")) == {"mart.not_null(id)", "totals"}
    assert names(graph, audits_alone=True, exclude=("orders", "customers")) == {
        "raw.not_null(id)",
        "mart.not_null(id)",
        "totals",
    }


def test_a_singular_audit_that_nobody_named_is_left_out_where_it_cannot_run(graph):
    past = Past(relations=frozenset({Relation("", "main", "customers"), Relation("", "main", "orders")}))
    selected = select_nodes(graph, past, Selection(audits_alone=True, select=("customers", "orders")))
    assert selected.nodes == {"audit:orders.unique(id)", "audit:orders.known"}
    assert selected.warnings == ("audit:totals is left out: this target has no model:mart",)
    with pytest.raises(SelectionError, match="audit:totals needs model:mart"):
        select_nodes(graph, past, Selection(audits_alone=True, select=("totals",)))


def test_audits_that_cannot_run_alone_say_what_is_missing(graph, make_graph, make_node):
    with pytest.raises(SelectionError, match=r"needs model:orders, which is not in this target") as raised:
        names(graph, Past(), audits_alone=True, select=("audit:orders.unique(id)",))
    assert (
        raised.value.help
        == "build it first ('sqb build orders'), or leave the audit out: --exclude 'orders.unique(id)'"
    )
    with pytest.raises(SelectionError, match="no audit of what is selected"):
        names(graph, audits_alone=True, select=("raw",), exclude=("audit:*",))
    with pytest.raises(SelectionError, match="no audit in this project"):
        names(make_graph(make_node("model:m")), audits_alone=True)
