"""What a file's columns are, beside those that its asset declares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlbuild.domain.columns import Column
from sqlbuild.errors import ExportError
from sqlbuild.sql.type_names import same_type


def unique_columns(columns: Sequence[tuple[str, str]], path: str) -> dict[str, str]:
    """Name -> type. Raises ExportError for a name that is there twice."""
    seen: dict[str, str] = {}
    for name, _ in columns:
        other = seen.get(name.lower())
        if other is not None:
            raise ExportError(
                f"{path} would have two columns called {name}"
                if other == name
                else f"{path} would have the columns {other} and {name}, which differ only in case",
                help="name each of them with AS",
            )
        seen[name.lower()] = name
    return dict(columns)


def differences(declared: Iterable[Column], found: Sequence[tuple[str, str]], dialect: str) -> str:
    """In words, empty if there are none: what is missing, what is there beside, and what has another type.

    `dialect` is the one that `found` is spelled in.
    """
    types = {name.lower(): type_ for name, type_ in found}
    columns = {column.name.lower(): column for column in declared}
    missing = [column.name for key, column in columns.items() if key not in types]
    extra = [name for name, _ in found if name.lower() not in columns]
    other = [
        f"{column.name} is {types[key]}, not {column.type}"
        for key, column in columns.items()
        if column.type is not None and key in types and not same_type(column.type, types[key], dialect)
    ]
    parts = [
        f"missing: {', '.join(missing)}" if missing else "",
        f"not declared: {', '.join(extra)}" if extra else "",
        f"other types: {', '.join(other)}" if other else "",
    ]
    return "; ".join(part for part in parts if part)
