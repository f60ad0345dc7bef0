"""The DAG artifact: the whole graph with columns and lineage, for catalogs and integrations."""

from __future__ import annotations

from typing import Any

from sqlbuild.artifacts.plain_json import plain_json
from sqlbuild.domain.columns import Column
from sqlbuild.domain.graph import Graph, Node
from sqlbuild.domain.ids import Relation, name_of, node_id
from sqlbuild.domain.nodes import Asset, Audit, Check, Function, Loader, Model, Seed, Source, Task, UnitTest
from sqlbuild.domain.unit_tests import UnitTestPlan
from sqlbuild.retries import RetryPolicy

SCHEMA_VERSION = 1


def dag_document(project_name: str, graph: Graph) -> dict[str, Any]:
    """The graph as `schemas/dag.schema.json` describes it, nodes and edges in topological order.

    The same graph gives the same document: no times, no absolute paths.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "project": project_name,
        "nodes": [node_document(node) for node in graph.nodes.values()],
        "edges": [{"from": upstream, "to": node.id} for node in graph.nodes.values() for upstream in node.depends_on],
        "checks": [
            {"id": node.id, "severity": node.declaration.severity.value, "depends_on": list(node.depends_on)}
            for node in graph.nodes.values()
            if isinstance(node.declaration, Check)
        ],
        "tests": [_test(node, node.unit_test) for node in graph.nodes.values() if node.unit_test is not None],
        "audits": [
            _audit(node, node.declaration) for node in graph.nodes.values() if isinstance(node.declaration, Audit)
        ],
    }


def _test(node: Node, plan: UnitTestPlan) -> dict[str, Any]:
    return {
        "id": node.id,
        "tests": list(node.tests),
        "runs": [f"model:{name}" for name in plan.models],
        "mocks": [f"{'model' if role == 'ref' else role}:{name}" for role, name in plan.mocks],
    }


def node_document(node: Node) -> dict[str, Any]:
    """One node as it stands in the DAG document."""
    retry, timeout, pools = _running(node)
    return {
        "id": node.id,
        "kind": node.kind.value,
        "name": node.name,
        "path": node.place.path,
        "line": node.place.line,
        "description": node.description,
        "tags": list(node.tags),
        "group": node.group,
        "meta": plain_json(node.meta),
        "columns": None if node.columns is None else [_column(column) for column in node.columns],
        "column_lineage": {
            column: [
                {
                    "node": name_of(origin.node),
                    "id": origin.node,
                    "column": origin.column,
                    "transform": origin.transform,
                }
                for origin in origins
            ]
            for column, origins in node.column_lineage.items()
        },
        "depends_on": list(node.depends_on),
        "retry": None if retry is None else _retry(retry),
        "timeout": timeout,
        "pools": list(pools),
        "relation": None if node.relation is None else _relation(node.relation),
    }


def _audit(node: Node, audit: Audit) -> dict[str, Any]:
    return {
        "id": node.id,
        "definition": audit.definition,
        "severity": audit.severity.value,
        "target": None if audit.target is None else node_id(audit.target.kind, audit.target.name),
        "column": audit.column,
        "depends_on": list(node.depends_on),
    }


def _running(node: Node) -> tuple[RetryPolicy | None, float | None, tuple[str, ...]]:
    match node.declaration:
        case Task(declared=declared) | Asset(declared=declared) | Loader(declared=declared) | Check(declared=declared):
            return declared.retry, declared.timeout, declared.pools
        case (
            Model(retry=retry, timeout=timeout, pools=pools)
            | Seed(retry=retry, timeout=timeout, pools=pools)
            | UnitTest(retry=retry, timeout=timeout, pools=pools)
            | Audit(retry=retry, timeout=timeout, pools=pools)
        ):
            return retry, timeout, pools
        case Source() | Function():
            return None, None, ()


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "nullable": column.nullable,
        "description": column.description,
        "meta": plain_json(column.meta),
    }


def _relation(relation: Relation) -> dict[str, Any]:
    return {"database": relation.database or None, "schema": relation.schema, "name": relation.name}


def _retry(policy: RetryPolicy) -> dict[str, Any]:
    kinds = policy.retry_on if isinstance(policy.retry_on, tuple) else (policy.retry_on,)
    return {
        "max_attempts": policy.max_attempts,
        "retry_on": [_class_name(kind) for kind in kinds],
        "initial_delay_seconds": policy.initial_delay_seconds,
        "backoff_multiplier": policy.backoff_multiplier,
        "max_delay_seconds": policy.max_delay_seconds,
        "max_elapsed_seconds": policy.max_elapsed_seconds,
        "jitter": policy.jitter,
    }


def _class_name(kind: type[Exception]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
