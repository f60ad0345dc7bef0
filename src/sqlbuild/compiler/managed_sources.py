"""A managed source and the loader of the same name are one declaration in two places: the YAML wins."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sqlbuild.domain.ids import NodeId, NodeKind, Relation, node_id, parse_relation
from sqlbuild.domain.nodes import Declaration, Loader, LoadSettings, Source
from sqlbuild.domain.settings import Target

INTERMEDIATE_PREFIX = "__loader__"


def loader_of(source: Source) -> NodeId:
    return node_id(NodeKind.LOADER, source.name)


def merge_managed(nodes: dict[NodeId, Declaration]) -> None:
    """Make both declarations of every such pair say the same."""
    for id, source in list(nodes.items()):
        if isinstance(source, Source) and source.load is not None:
            loader = nodes.get(loader_of(source))
            if isinstance(loader, Loader):
                nodes[id], nodes[loader_of(source)] = _merged(source, source.load, loader)


def _merged(source: Source, written: LoadSettings, loader: Loader) -> tuple[Source, Loader]:
    load = LoadSettings(
        write_strategy=written.write_strategy or loader.write_strategy,
        cursor_column=written.cursor_column or loader.cursor_column,
        unique_key=written.unique_key or loader.unique_key,
        contract=written.contract or loader.contract,
        batch_rows=written.batch_rows or loader.batch_rows,
    )
    columns = source.columns or loader.columns
    named = source.database or source.schema or source.table
    relation = None if named or loader.destination is None else parse_relation(loader.destination)
    if relation is not None:
        source = dataclasses.replace(
            source, database=relation.database or None, schema=relation.schema or None, table=relation.name
        )
    return dataclasses.replace(source, load=load, columns=columns), dataclasses.replace(
        loader,
        write_strategy=load.write_strategy,
        cursor_column=load.cursor_column,
        unique_key=load.unique_key,
        contract=load.contract,
        batch_rows=load.batch_rows,
        columns=columns,
    )


def relation_of_source(source: Source, target: Target) -> Relation | None:
    """None for an expression, which has no relation of its own."""
    if source.expression is not None:
        return None
    return Relation(source.database or "", source.schema or target.schema, source.table or source.name)


def relation_of_loader(loader: Loader, nodes: Mapping[NodeId, Declaration], target: Target) -> Relation:
    """The table that a loader fills: its source's, else its own."""
    name = loader.declared.name
    source = nodes.get(node_id(NodeKind.SOURCE, name))
    if isinstance(source, Source) and source.managed:
        relation = relation_of_source(source, target)
        if relation is not None:
            return relation
    own = parse_relation(loader.destination) if loader.destination is not None else None
    if own is None:
        return Relation(target.database, target.schema, INTERMEDIATE_PREFIX + name)
    return Relation(own.database, own.schema or target.schema, own.name)
