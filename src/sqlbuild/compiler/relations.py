"""Where a target has what is declared."""

from __future__ import annotations

from sqlbuild.compiler.managed_sources import relation_of_loader, relation_of_source
from sqlbuild.compiler.resolve_refs import Resolved
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.nodes import Function, Loader, Model, Seed, Source
from sqlbuild.domain.settings import Target


def relation_at(declaration: Model | Source | Seed | Loader, resolved: Resolved, target: Target) -> Relation | None:
    """None for a source that is an expression."""
    if isinstance(declaration, Model):
        return relation_of_model(declaration, target)
    if isinstance(declaration, Loader):
        return relation_of_loader(declaration, resolved.nodes, target)
    if isinstance(declaration, Seed):
        return relation_of_seed(declaration, target)
    return relation_of_source(declaration, target)


def relation_of_model(model: Model, target: Target) -> Relation:
    return Relation(model.database or target.database, model.schema or target.schema, model.alias or model.name)


def relation_of_function(function: Function, target: Target) -> Relation:
    return Relation(function.database or target.database, function.schema or target.schema, function.name)


def relation_of_seed(seed: Seed, target: Target) -> Relation:
    return Relation(seed.database or target.database, seed.schema or target.schema, seed.name)
