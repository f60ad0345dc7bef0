from __future__ import annotations

import dataclasses

import pytest

from sqlbuild.domain.columns import Column, ColumnReference
from sqlbuild.domain.graph import Graph
from sqlbuild.domain.lineage import Direction, Edge, Point
from sqlbuild.selector.trace_lineage import column_called, lineage_within, trace_lineage


@pytest.fixture(scope="module")
def columns(make_graph, make_node) -> Graph:
    """raw.Id goes to stg.id, from there with raw.amount into mart.total, and from that into an asset."""

    def node(called, upstream, names, **lineage):
        made = make_node(called, upstream)
        return dataclasses.replace(
            made, columns=tuple(Column(name=name) for name in names), column_lineage=lineage, notes=()
        )

    return make_graph(
        node("source:raw", [], ["Id", "amount"]),
        node(
            "model:stg",
            ["source:raw"],
            ["id", "amount"],
            id=(ColumnReference("source:raw", "id", "cast"),),
            amount=(ColumnReference("source:raw", "amount"),),
        ),
        node(
            "model:mart",
            ["model:stg"],
            ["total"],
            total=(
                ColumnReference("model:stg", "id", "aggregation"),
                ColumnReference("model:stg", "amount", "aggregation"),
            ),
        ),
        node("asset:push", ["model:mart"], ["sum"], sum=(ColumnReference("model:mart", "total", "declared"),)),
        dataclasses.replace(make_node("model:wide", ["model:stg"]), notes=("columns not checked: PIVOT",)),
    )


def pairs(edges: tuple[Edge, ...]) -> list[tuple[str, str]]:
    return [(edge.source.node, edge.target.node) for edge in edges]


def test_nodes_are_followed_both_ways_nearest_first(shop):
    found = trace_lineage(shop, Point("model:stg_orders"), Direction.BOTH)
    assert pairs(found.upstream) == [("source:raw_orders", "model:stg_orders")]
    assert pairs(found.downstream)[:2] == [
        ("model:stg_orders", "model:fact_orders"),
        ("model:fact_orders", "model:daily_revenue"),
    ]
    assert ("asset:export_orders", "asset:dashboard") in pairs(found.downstream)
    assert {edge.transform for edge in found.edges} == {""}


def test_depth_counts_steps(shop):
    found = trace_lineage(shop, Point("model:fact_orders"), Direction.UPSTREAM, depth=1)
    assert pairs(found.edges) == [
        ("model:stg_orders", "model:fact_orders"),
        ("model:stg_payments", "model:fact_orders"),
    ]
    assert len(trace_lineage(shop, Point("model:fact_orders"), Direction.UPSTREAM, depth=2).edges) == 4


def test_a_column_is_followed_to_the_sources_with_what_happens_to_it(columns):
    found = trace_lineage(columns, Point("asset:push", "sum"), Direction.UPSTREAM)
    assert [(str(edge.source.column), str(edge.target.column), edge.transform) for edge in found.edges] == [
        ("total", "sum", "declared"),
        ("id", "total", "aggregation"),
        ("amount", "total", "aggregation"),
        ("Id", "id", "cast"),
        ("amount", "amount", "direct"),
    ]
    assert found.notes == ()


def test_a_column_is_followed_to_the_assets(columns):
    found = trace_lineage(columns, Point("source:raw", "amount"), Direction.DOWNSTREAM)
    assert [edge.target for edge in found.edges] == [
        Point("model:stg", "amount"),
        Point("model:mart", "total"),
        Point("asset:push", "sum"),
    ]


def test_where_columns_are_not_known_a_note_says_why(columns):
    found = trace_lineage(columns, Point("model:wide", "jan"), Direction.UPSTREAM)
    assert (found.edges, found.notes) == ((), ("model:wide: columns not checked: PIVOT",))


def test_a_selection_has_the_edges_between_its_nodes(shop):
    found = lineage_within(shop, {"model:stg_orders", "model:fact_orders", "asset:dashboard"})
    assert pairs(found.edges) == [("model:stg_orders", "model:fact_orders")]
    assert [point.node for point in found.focus] == ["model:stg_orders", "model:fact_orders", "asset:dashboard"]


def test_a_column_is_called_as_the_warehouse_compares_names(columns):
    node = columns.nodes["source:raw"]
    assert column_called(node, "ID", case_sensitive=False) == "Id"
    assert column_called(node, "ID", case_sensitive=True) is None
    assert column_called(node, "Id", case_sensitive=True) == "Id"
