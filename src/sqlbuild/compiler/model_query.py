"""The query of a model, as it stands in other SQL."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence

from sqlbuild.compiler.incremental_inputs import read_inputs
from sqlbuild.domain.columns import Column
from sqlbuild.domain.cursor_windows import Window
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.incremental import CursorType, IncrementalSql
from sqlbuild.domain.nodes import Declaration, Function, Model
from sqlbuild.domain.record import record
from sqlbuild.domain.source_map import Expansion, shifted
from sqlbuild.refs import Reference
from sqlbuild.sql.rendering import Edit, Readable, edited, in_brackets, reference_edits, render_casts
from sqlbuild.sql.window_sql import bound_edits, parts_of, read_within_window, within_window, without_bounds

_FIRST, _LAST = map(datetime.datetime.fromisoformat, ("1900-01-01", "2999-12-31"))
_WIDE = Window(start=_FIRST, end=_LAST, covers_from=_FIRST)
_WIDE_NUMBERS = Window(start=-(10**15), end=10**15, covers_from=-(10**15))


@record(frozen=True, slots=True, kw_only=True)
class RenderedQuery:
    """`sql`, `expansions` and `incremental_sql` of a node."""

    sql: str
    expansions: tuple[Expansion, ...] = ()
    incremental_sql: IncrementalSql | None = None


def rendered_query(
    model: Model | Function,
    readables: Mapping[Reference, Readable],
    dialect: str,
    nodes: Mapping[NodeId, Declaration],
    columns_of: Callable[[NodeId], Sequence[Column]],
) -> RenderedQuery:
    """The query of a model, or the SQL of a function, with every reference that `readables` knows replaced; its line
    numbers stay as they are, and those of what macros gave are told by the expansions."""
    if isinstance(model, Function) or model.incremental is None:
        edits = reference_edits(model.sql, model.references, readables)
        sql = _query(model, edits, dialect)
        return RenderedQuery(sql=sql, expansions=_expansions_in(sql, model, edits))
    inputs = read_inputs(model, readables, nodes, columns_of)
    within = dict(readables)
    for place, (reference, found) in enumerate(inputs.items()):
        if found.filters:
            query = read_within_window(found.sql, found.column, place)
            within[reference] = Readable(alias=readables[reference].alias, query=query)
    edits = reference_edits(model.sql, model.references, within)
    if model.cursor_calls:
        edits = sorted([*edits, *bound_edits(model.sql)])
    grows = IncrementalSql(parts=parts_of(_query(model, edits, dialect)), inputs=tuple(inputs.values()))
    type_ = "TIMESTAMP" if model.incremental.cursor_type is CursorType.TIMESTAMP else "BIGINT"
    edits = [(start, end, without_bounds(text, type_)) for start, end, text in edits]
    sql = _query(model, edits, dialect)
    return RenderedQuery(sql=sql, expansions=_expansions_in(sql, model, edits), incremental_sql=grows)


def wide_window(model: Model) -> Window:
    """Bounds so far away that they leave nothing out."""
    is_number = model.incremental is not None and model.incremental.cursor_type is CursorType.INTEGER
    return _WIDE_NUMBERS if is_number else _WIDE


def model_query(
    model: Model, readables: Mapping[Reference, Readable], dialect: str, window: Window | None = None
) -> str:
    """The same query over all that its inputs have; without a `window` its bounds are far away."""
    edits = reference_edits(model.sql, model.references, readables)
    if model.cursor_calls:
        edits = sorted([*edits, *bound_edits(model.sql)])
    sql = _query(model, edits, dialect)
    if not model.cursor_calls:
        return sql
    return within_window(IncrementalSql(parts=parts_of(sql)), window or wide_window(model), ())


def _query(model: Model | Function, edits: Sequence[Edit], dialect: str) -> str:
    sql = edited(model.sql, edits)
    # PostgreSQL has to be asked for all columns before some can be cast: that is done when the table is built.
    if (
        isinstance(model, Model)
        and model.is_table
        and dialect == "duckdb"
        and any(column.type for column in model.columns)
    ):
        sql = render_casts(in_brackets(sql), model.columns)
    return sql


def _expansions_in(sql: str, model: Model | Function, edits: Sequence[Edit]) -> tuple[Expansion, ...]:
    """What macros gave of `sql`, which `_query` gave for these edits."""
    if not model.expansions:
        return ()
    moved = shifted(model.expansions, [(start, len(text) - (end - start)) for start, end, text in edits])
    before = sql.index(edited(model.sql, edits))
    return tuple([expansion.moved(before) for expansion in moved]) if before else moved
