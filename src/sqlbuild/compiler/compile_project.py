"""The phase `compile`: a project as read becomes a checked graph."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping

from sqlbuild.compiler.audit_waits import with_audit_waits
from sqlbuild.compiler.fingerprints import fingerprint_of
from sqlbuild.compiler.infer_columns import NOWHERE_ELSE, infer_columns
from sqlbuild.compiler.model_hooks import compile_hooks, hook_facts, hooks_of, providers_of_hooks
from sqlbuild.compiler.node_columns import NodeColumns
from sqlbuild.compiler.resolve_refs import Resolved, resolve_refs
from sqlbuild.compiler.rules import RULES, Checked
from sqlbuild.compiler.topological_order import order_nodes
from sqlbuild.compiler.unit_tests import CompiledUnitTest, compile_unit_tests
from sqlbuild.domain.columns import ColumnReference
from sqlbuild.domain.graph import Fingerprint, Graph, Node
from sqlbuild.domain.ids import NodeId, NodeKind, Relation, kind_of, node_id
from sqlbuild.domain.nodes import (
    Asset,
    Audit,
    Declaration,
    Model,
    PythonNode,
    Source,
    kind_of_declaration,
    name_of_declaration,
    place_of_declaration,
)
from sqlbuild.domain.project import CodeFacts, Project
from sqlbuild.errors import Problem, ProjectError
from sqlbuild.interfaces.analysis_cache import AnalysisCache
from sqlbuild.sql.analyse_query import AnalyseAll
from sqlbuild.sql.rendering import render_readable_anywhere

_UNKNOWN = NodeColumns()


def compile_project(
    project: Project,
    cache: AnalysisCache,
    deferred: Mapping[NodeId, Relation] = NOWHERE_ELSE,
    analyse_all: AnalyseAll | None = None,
) -> Graph:
    """Resolve references, order the nodes, infer columns, check all rules and take fingerprints.

    Nodes of `deferred` are read at the relation given there, which another target has built. `analyse_all` analyses
    several queries at the same time.

    Raises ProjectError with every problem that was found, also those found while the project was read. Warnings go to
    `Graph.warnings`. What the cache got new is not written: that is for the caller, who calls `cache.flush()`.
    """
    resolved = resolve_refs(project)
    order = order_nodes(with_audit_waits(resolved))
    inferred = infer_columns(project, resolved, order.nodes, cache, deferred, analyse_all)
    checked = Checked(project=project, resolved=resolved, order=order, columns=inferred.nodes)
    found = [*project.problems, *resolved.problems, *inferred.problems]
    for rule in RULES:
        found.extend(rule(checked))
    tests: Mapping[NodeId, CompiledUnitTest] = {}
    if not order.cycles:
        compiled = compile_unit_tests(project, resolved, inferred.nodes, cache)
        tests, found = compiled.tests, [*found, *compiled.problems]
    problems = _sorted(found)
    if any(problem.severity == "error" for problem in problems):
        raise ProjectError(problems)
    graph = _graph(project, resolved, order.nodes, inferred.nodes, tests, problems)
    return dataclasses.replace(graph, deferred=deferred) if deferred else graph


def _sorted(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """By place, each once; what has no place comes first."""
    return tuple(
        sorted(dict.fromkeys(problems), key=lambda found: (found.path, found.line or 0, found.column or 0, found.code))
    )


def _graph(
    project: Project,
    resolved: Resolved,
    order: Iterable[NodeId],
    columns: Mapping[NodeId, NodeColumns],
    tests: Mapping[NodeId, CompiledUnitTest],
    warnings: tuple[Problem, ...],
) -> Graph:
    nodes: dict[NodeId, Node] = {}
    downstream: dict[NodeId, list[NodeId]] = {}
    fingerprints: dict[NodeId, Fingerprint] = {}
    dialect = project.settings.target.connection.adapter
    vars_text = json.dumps(project.settings.vars, sort_keys=True, default=str)
    tested_by = _tested_by(tests)
    for node in _tests_first(order, tested_by):
        declaration = resolved.nodes[node]
        upstream = resolved.depends_on[node]
        test = tests.get(node)
        known = columns.get(node) if test is None else NodeColumns(code=test.code)
        fingerprint = fingerprint_of(
            node,
            declaration,
            known,
            project.code.get(node),
            [fingerprints[each] for each in upstream],
            vars=vars_text,
            hooks=hook_facts(declaration, project) if isinstance(declaration, Model) else (),
            functions=[fingerprints[each] for each in upstream if kind_of(each) is NodeKind.FUNCTION],
        )
        fingerprints[node] = fingerprint
        for each in upstream:
            downstream.setdefault(each, []).append(node)
        facts = project.code.get(node)
        made = _node(node, declaration, upstream, known or _UNKNOWN, fingerprint, resolved.by_name, facts, dialect)
        if test is not None:
            made = dataclasses.replace(made, tests=test.tests, unit_test=test.plan)
        elif node in tested_by:
            made = dataclasses.replace(made, tested_by=tuple(tested_by[node]))
        if isinstance(declaration, Model) and hooks_of(declaration):
            hooks = compile_hooks(declaration, project, nodes)
            made = dataclasses.replace(made, hooks=hooks, providers=providers_of_hooks(declaration, project))
        nodes[node] = made
    return Graph(
        nodes=nodes,
        downstream={node: tuple(found) for node, found in downstream.items()},
        audits=_audits(resolved),
        warnings=warnings,
    )


def _audits(resolved: Resolved) -> dict[NodeId, tuple[NodeId, ...]]:
    """What is attached to each node."""
    found: dict[NodeId, list[NodeId]] = {}
    for node, declaration in resolved.nodes.items():
        if isinstance(declaration, Audit) and declaration.target is not None:
            found.setdefault(node_id(declaration.target.kind, declaration.target.name), []).append(node)
    return {node: tuple(audits) for node, audits in found.items()}


def _tested_by(tests: Mapping[NodeId, CompiledUnitTest]) -> dict[NodeId, list[NodeId]]:
    tested_by: dict[NodeId, list[NodeId]] = {}
    for node, test in tests.items():
        for model in test.tests:
            tested_by.setdefault(model, []).append(node)
    return tested_by


def _tests_first(order: Iterable[NodeId], tested_by: Mapping[NodeId, list[NodeId]]) -> list[NodeId]:
    """The same order, but every test before the first model that waits for it."""
    placed: dict[NodeId, None] = {}
    rest: list[NodeId] = []
    for node in order:
        if kind_of(node) is NodeKind.TEST:
            rest.append(node)
        else:
            placed.update(dict.fromkeys(tested_by.get(node, ())))
            placed[node] = None
    placed.update(dict.fromkeys(rest))
    return list(placed)


def _node(
    node: NodeId,
    declaration: Declaration,
    upstream: tuple[NodeId, ...],
    known: NodeColumns,
    fingerprint: Fingerprint,
    by_name: Mapping[str, NodeId],
    facts: CodeFacts | None,
    dialect: str,
) -> Node:
    lineage = known.lineage
    if isinstance(declaration, Asset) and declaration.column_lineage:
        lineage = {
            column: tuple(ColumnReference(by_name[name], origin, "declared") for name, origin in origins)
            for column, origins in declaration.column_lineage.items()
        }
    return Node(
        id=node,
        kind=kind_of_declaration(declaration),
        name=name_of_declaration(declaration),
        place=place_of_declaration(declaration),
        declaration=declaration,
        depends_on=upstream,
        relation=known.relation,
        sql=_readable_sql(declaration, known.sql, dialect),
        expansions=known.expansions,
        incremental_sql=known.incremental_sql,
        around_target=known.around_target,
        columns=known.columns,
        column_lineage=lineage,
        providers=_providers(declaration, facts),
        notes=known.notes,
        fingerprint=fingerprint,
    )


def _readable_sql(declaration: Declaration, sql: str | None, dialect: str) -> str | None:
    if isinstance(declaration, Source) and sql is not None and dialect == "postgres":
        return render_readable_anywhere(sql, declaration.name)
    return sql


def _providers(declaration: Declaration, facts: CodeFacts | None) -> tuple[str, ...]:
    if not isinstance(declaration, PythonNode):
        return ()
    named = declaration.declared.providers
    used = facts.providers if facts is not None else ()
    return tuple(dict.fromkeys((*named, *used))) if used else named
