from __future__ import annotations

import datetime
import json

import pytest

from sqlbuild.artifacts.dag_json import dag_document
from sqlbuild.artifacts.write_json import write_json
from sqlbuild.domain.columns import Column, ColumnReference
from sqlbuild.domain.nodes import Severity
from sqlbuild.retries import RetryPolicy


@pytest.fixture
def graph(make_graph, make_node):
    columns = (Column(name="order_id", type="INTEGER", nullable=False, description="key", meta={"pii": False}),)
    lineage = {"order_id": (ColumnReference("model:fact_orders", "order_id"),)}
    return make_graph(
        make_node(
            "source:raw_orders", path="sources/raw.yml", meta={"since": datetime.date(2026, 1, 2), "max": float("inf")}
        ),
        make_node(
            "model:fact_orders",
            ["source:raw_orders"],
            tags=("marts", "daily"),
            group="finance",
            description="Order facts",
            retry=RetryPolicy(max_attempts=2, max_elapsed_seconds=9.5),
            timeout=30.0,
            compiled={"columns": ()},
        ),
        make_node(
            "asset:orders_export",
            ["model:fact_orders"],
            retry=RetryPolicy(retry_on=(OSError, json.JSONDecodeError)),
            pools=("crm_api",),
            compiled={"columns": columns, "column_lineage": lineage},
        ),
        make_node("task:notify", ["asset:orders_export"]),
    )


def _node(document, name):
    return next(node for node in document["nodes"] if node["name"] == name)


def test_the_document_fits_its_schema_and_survives_being_written(graph, validate, tmp_path):
    document = dag_document("shop", graph)
    validate("dag", document)
    write_json(str(tmp_path / "dag.json"), document)
    assert json.loads((tmp_path / "dag.json").read_text("utf-8")) == document


def test_an_empty_project_has_a_document_too(make_graph, validate):
    document = dag_document("shop", make_graph())
    validate("dag", document)
    assert document == {
        "schema_version": 1,
        "project": "shop",
        "nodes": [],
        "edges": [],
        "checks": [],
        "tests": [],
        "audits": [],
    }


def test_a_model_is_described_in_full(graph):
    assert _node(dag_document("shop", graph), "fact_orders") == {
        "id": "model:fact_orders",
        "kind": "model",
        "name": "fact_orders",
        "path": "models/fact_orders.sql",
        "line": 1,
        "description": "Order facts",
        "tags": ["marts", "daily"],
        "group": "finance",
        "meta": {},
        "columns": [],
        "column_lineage": {},
        "depends_on": ["source:raw_orders"],
        "retry": {
            "max_attempts": 2,
            "retry_on": ["Exception"],
            "initial_delay_seconds": 1.0,
            "backoff_multiplier": 2.0,
            "max_delay_seconds": 30.0,
            "max_elapsed_seconds": 9.5,
            "jitter": True,
        },
        "timeout": 30.0,
        "pools": [],
        "relation": {"database": None, "schema": "main", "name": "fact_orders"},
    }


def test_columns_and_their_lineage_stand_at_the_asset(graph):
    asset = _node(dag_document("shop", graph), "orders_export")
    assert asset["columns"] == [
        {"name": "order_id", "type": "INTEGER", "nullable": False, "description": "key", "meta": {"pii": False}}
    ]
    assert asset["column_lineage"] == {
        "order_id": [{"node": "fact_orders", "id": "model:fact_orders", "column": "order_id", "transform": "direct"}]
    }
    assert asset["retry"]["retry_on"] == ["OSError", "json.decoder.JSONDecodeError"]
    assert (asset["pools"], asset["relation"]) == (["crm_api"], None)


def test_what_json_does_not_have_becomes_text(graph):
    assert _node(dag_document("shop", graph), "raw_orders")["meta"] == {"since": "2026-01-02", "max": "inf"}


def test_unknown_columns_are_null(graph):
    assert _node(dag_document("shop", graph), "notify")["columns"] is None


def test_edges_lead_from_upstream_to_downstream(graph):
    assert dag_document("shop", graph)["edges"] == [
        {"from": "source:raw_orders", "to": "model:fact_orders"},
        {"from": "model:fact_orders", "to": "asset:orders_export"},
        {"from": "asset:orders_export", "to": "task:notify"},
    ]


def test_checks_stand_among_the_nodes_and_say_what_they_look_at(make_graph, make_node, validate):
    graph = make_graph(
        make_node("model:orders"), make_node("check:orders_ok", ["model:orders"], severity=Severity.WARN)
    )
    document = dag_document("shop", graph)
    validate("dag", document)
    assert document["checks"] == [{"id": "check:orders_ok", "severity": "warn", "depends_on": ["model:orders"]}]
    assert [node["kind"] for node in document["nodes"]] == ["model", "check"]
