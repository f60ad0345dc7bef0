"""The query of a model, as it stands in other SQL."""

from __future__ import annotations

from collections.abc import Mapping

from sqlbuild.domain.nodes import Materialization, Model
from sqlbuild.refs import Reference
from sqlbuild.sql.rendering import Readable, in_brackets, render_casts, render_references


def model_query(model: Model, readables: Mapping[Reference, Readable], dialect: str) -> str:
    """The model's query with every reference that `readables` knows replaced; its line numbers stay as they are."""
    sql = render_references(model.sql, model.references, readables)
    is_typed = model.materialized is Materialization.TABLE and any(column.type for column in model.columns)
    # PostgreSQL has to be asked for all columns before some can be cast: that is done when the table is built.
    if is_typed and dialect == "duckdb":
        sql = render_casts(in_brackets(sql), model.columns)
    return sql
