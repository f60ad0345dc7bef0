"""SQL in Python nodes reads what is built here through references, or nothing would make the node wait for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlbuild.compiler.node_columns import NodeColumns
from sqlbuild.compiler.resolve_refs import Resolved
from sqlbuild.domain.ids import NodeId, NodeKind, Relation, kind_of, name_of
from sqlbuild.domain.project import NamedTable, Project
from sqlbuild.errors import Problem

_NAMED = (NodeKind.MODEL, NodeKind.SOURCE, NodeKind.SEED)
_FOUND_WITHOUT_SCHEMA = {"duckdb": "main", "postgres": "public"}
Parts = tuple[str, ...]


def literal_names(project: Project, resolved: Resolved, columns: Mapping[NodeId, NodeColumns]) -> Iterator[Problem]:
    """Each place where the code of a node names a relation of the project, once, however many nodes it makes."""
    naming = {node: facts.tables for node, facts in project.code.items() if facts.tables and node in resolved.nodes}
    if not naming:
        return
    dialect = project.settings.target.connection.adapter
    relations = _by_parts(resolved, columns, dialect)
    told: set[NamedTable] = set()
    for node, tables in naming.items():
        for table in tables:
            # On DuckDB quotes do not tell apart what capitals do not.
            parts = tuple(each.lower() for each in table.parts) if dialect == "duckdb" else table.parts
            other = relations.get(parts)
            if other is None or table in told or _is_filled_by(NodeId(node), other, table, resolved):
                continue
            told.add(table)
            yield _problem(NodeId(node), other, table)


def _by_parts(resolved: Resolved, columns: Mapping[NodeId, NodeColumns], dialect: str) -> dict[Parts, NodeId]:
    """The ways in which statements can name each relation."""
    found: dict[Parts, NodeId] = {}
    for node in resolved.nodes:
        known = columns.get(node)
        relation = known.relation if known is not None else None
        if kind_of(node) in _NAMED and relation is not None:
            for parts in _ways(relation, dialect):
                found.setdefault(tuple(each.lower() for each in parts) if dialect == "duckdb" else parts, node)
    return found


def _ways(relation: Relation, dialect: str) -> Iterator[Parts]:
    if relation.database:
        yield relation.database, relation.schema, relation.name
        if dialect == "duckdb":
            return
    yield relation.schema, relation.name
    if relation.schema == _FOUND_WITHOUT_SCHEMA[dialect]:
        yield (relation.name,)


def _is_filled_by(node: NodeId, other: NodeId, table: NamedTable, resolved: Resolved) -> bool:
    """What writes to a source, or is what a source or model is made of, stands before it and cannot refer to it."""
    if kind_of(other) is NodeKind.SOURCE and not table.is_read:
        return True
    if kind_of(node) is NodeKind.LOADER:
        return True
    waiting, seen = [other], {other}
    while waiting:
        for upstream in resolved.depends_on[waiting.pop()]:
            if upstream == node:
                return True
            if upstream not in seen:
                seen.add(upstream)
                waiting.append(upstream)
    return False


def _problem(node: NodeId, other: NodeId, table: NamedTable) -> Problem:
    kind, name = kind_of(other).value, name_of(other)
    does = "reads" if table.is_read else "changes"
    declared = f'{kind}("{name}")'
    return Problem(
        code="NAMED_TABLE",
        message=f"{name_of(node)} {does} {table.written} by its name, so nothing makes it wait for {name}",
        help=f"write {{ctx.relation({declared})}} in an f-string, and {declared} in depends_on",
        path=table.place.path,
        line=table.place.line,
        column=table.place.column,
    )
