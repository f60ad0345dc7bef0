"""The query of a model, as it stands in other SQL."""

from __future__ import annotations

from collections.abc import Mapping

from sqlbuild.domain.nodes import Function, Materialization, Model
from sqlbuild.domain.source_map import Expansion, shifted
from sqlbuild.refs import Reference
from sqlbuild.sql.rendering import Readable, in_brackets, reference_edits, render_casts, render_references


def model_query(model: Model, readables: Mapping[Reference, Readable], dialect: str) -> str:
    """The model's query with every reference that `readables` knows replaced; its line numbers stay as they are, and those of what
    macros gave are to be told by `expansions_in`."""
    sql = render_references(model.sql, model.references, readables)
    is_typed = model.materialized is Materialization.TABLE and any(column.type for column in model.columns)
    # PostgreSQL has to be asked for all columns before some can be cast: that is done when the table is built.
    if is_typed and dialect == "duckdb":
        sql = render_casts(in_brackets(sql), model.columns)
    return sql


def expansions_in(sql: str, model: Model | Function, readables: Mapping[Reference, Readable]) -> tuple[Expansion, ...]:
    """What macros gave of `sql`, in which the references of a model, or of a function, were replaced."""
    plain = render_references(model.sql, model.references, readables)
    moved = shifted(model.expansions, reference_edits(model.sql, model.references, readables))
    before = sql.index(plain)
    return tuple([expansion.moved(before) for expansion in moved]) if before else moved
