"""Whether a query gives the columns that its header or YAML declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sqlbuild.compiler.nearest_name import NearestName
from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import Place
from sqlbuild.domain.nodes import Materialization, Model
from sqlbuild.errors import Problem
from sqlbuild.sql.query_analysis import OutputColumn
from sqlbuild.sql.type_names import canonical_type

MAX_NAMES = 8


def is_exact(model: Model) -> bool:
    """Whether its declared columns are all that it may have."""
    return model.contract == "enforced"


def contract_problems(model: Model, found: Sequence[OutputColumn] | None, *, mode: str, dialect: str) -> list[Problem]:
    """What `found`, all columns of its query if they are known, has or lacks against the model's contract.

    `mode` is `[settings] column_contract_mode`, which counts where the model does not say.
    """
    contract = model.contract or ("none" if mode == "explicit" else "open")
    if contract == "none":
        return []
    if is_exact(model) and not model.columns:
        help = "declare the columns that the model gives, or remove `contract`"
        return [_problem("CONTRACT", f"{model.name}: `contract enforced` without columns", help, model.place)]
    if found is None or not model.columns:
        return []
    problems = missing_columns(model.columns, found, model.name, model.place, dialect=dialect)
    problems += _nullable_columns(model, found, dialect)
    if is_exact(model):
        problems += _further_columns(model, found, dialect)
        problems += _other_types(model, found, dialect)
    return problems


def missing_columns(
    declared: Sequence[Column], found: Sequence[OutputColumn], name: str, place: Place, *, dialect: str
) -> list[Problem]:
    key = _key(dialect)
    given = {key(column.name) for column in found}
    nearest = NearestName(column.name for column in found)
    shown = ", ".join(each.name for each in found[:MAX_NAMES]) + (", ..." if len(found) > MAX_NAMES else "")
    return [
        _problem(
            "MISSING_COLUMN",
            f"{name} declares the column {missing.name}, which its query does not give",
            nearest.help(missing.name, f"remove it or select it; the query gives {shown}"),
            place,
        )
        for missing in declared
        if key(missing.name) not in given
    ]


def _nullable_columns(model: Model, found: Sequence[OutputColumn], dialect: str) -> Iterator[Problem]:
    key = _key(dialect)
    filled = {key(column.name) for column in model.columns if column.nullable is False}
    for column in found:
        if column.nullable is True and key(column.name) in filled:
            yield _problem(
                "NULLABLE_COLUMN",
                f"{model.name} declares the column {column.name} as nullable false, but its query can give NULL there",
                "give another value in its place with COALESCE, filter those rows out, "
                "or leave out `nullable false` and let the audit not_null look at the data",
                model.place,
            )


def _further_columns(model: Model, found: Sequence[OutputColumn], dialect: str) -> Iterator[Problem]:
    key = _key(dialect)
    declared = {key(column.name) for column in model.columns}
    further = [column.name for column in found if key(column.name) not in declared]
    if further:
        shown = ", ".join(further[:MAX_NAMES]) + (", ..." if len(further) > MAX_NAMES else "")
        columns = "the column" if len(further) == 1 else f"{len(further)} columns"
        yield _problem(
            "EXTRA_COLUMN",
            f"{model.name} gives {columns} {shown}, which its enforced contract does not have",
            f"declare {'it' if len(further) == 1 else 'them'} in `columns`, or do not select {'it' if len(further) == 1 else 'them'}",
            model.place,
        )


def _other_types(model: Model, found: Sequence[OutputColumn], dialect: str) -> Iterator[Problem]:
    """Of views: what becomes a table is cast."""
    if model.materialized is not Materialization.VIEW:
        return
    key = _key(dialect)
    declared = {key(column.name): canonical_type(column.type, dialect) for column in model.columns}
    for column in found:
        wanted = declared.get(key(column.name))
        if column.type is not None and wanted is not None and wanted != column.type:
            yield _problem(
                "COLUMN_TYPE",
                f"{model.name} declares the column {column.name} as {wanted}, but its query gives {column.type}",
                f"write CAST(... AS {wanted}) in the query: a view is not cast, a table would be",
                model.place,
            )


def _key(dialect: str) -> Callable[[str], str]:
    return str.lower if dialect == "duckdb" else str


def _problem(code: str, message: str, help: str, place: Place) -> Problem:
    return Problem(code=code, message=message, help=help, path=place.path, line=place.line, column=place.column)
