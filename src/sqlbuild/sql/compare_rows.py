"""The statement that compares two relations as multisets of rows."""

from __future__ import annotations

from collections.abc import Sequence

from sqlbuild.domain.record import record
from sqlbuild.sql.rendering import quote_identifier

FACTS = 7
"""Columns of the result in front of those that are compared: how often the row is expected and how often it is there, both
summed over all rows, how many rows are missing and how many are unexpected, and its place among those that differ so."""


@record(frozen=True, slots=True, kw_only=True)
class ComparedColumn:
    """One column by its names in both relations, and what each is cast to before it is compared, if it is."""

    expected: str
    actual: str
    expected_type: str | None = None
    actual_type: str | None = None


def compare_rows(ctes: str, expected: str, actual: str, columns: Sequence[ComparedColumn], limit: int) -> str:
    """A statement behind the WITH clause `ctes`, which has both relations. Of the rows that are more often in one of them
    it gives `limit` in each direction, and one row that is in both as often, if there is one.

    The relations are read once. Types become one as in a UNION of the warehouse; NULL is equal to NULL.
    """
    names = [quote_identifier(f"__sqb_{index}") for index in range(len(columns))]
    left = _listed([(each.expected, each.expected_type) for each in columns], names)
    right = _listed([(each.actual, each.actual_type) for each in columns], names)
    listed = "".join(f", {name}" for name in names)
    grouped = f" GROUP BY {', '.join(names)}" if names else ""
    ordered = f" ORDER BY {', '.join(names)}" if names else ""
    return (
        f'{ctes}\nSELECT * FROM (SELECT e, a, sum(e) OVER () AS es, sum(a) OVER () AS "as", '
        "sum(CASE WHEN e > a THEN e - a ELSE 0 END) OVER () AS missing, "
        "sum(CASE WHEN a > e THEN a - e ELSE 0 END) OVER () AS unexpected, "
        f"row_number() OVER (PARTITION BY CASE WHEN e > a THEN 1 WHEN a > e THEN 2 ELSE 0 END{ordered}) AS place{listed} "
        f"FROM (SELECT sum(e) AS e, sum(a) AS a{listed} FROM ("
        f"SELECT 1 AS e, 0 AS a{left} FROM {expected} UNION ALL SELECT 0 AS e, 1 AS a{right} FROM {actual}"
        f') AS "__sqb_both"{grouped}) AS "__sqb_rows") AS "__sqb_numbered" '
        f"WHERE place <= CASE WHEN e = a THEN 1 ELSE {limit} END ORDER BY place"
    )


def _listed(columns: Sequence[tuple[str, str | None]], names: Sequence[str]) -> str:
    written = (
        quote_identifier(column) if type_ is None else f"CAST({quote_identifier(column)} AS {type_})"
        for column, type_ in columns
    )
    return "".join(f", {text} AS {name}" for text, name in zip(written, names, strict=True))


def count_rows(ctes: str, relation: str, limit: int) -> str:
    """A statement behind `ctes` that gives the first rows of a relation, each behind the number of all of them."""
    return f"{ctes}\nSELECT count(*) OVER (), t.* FROM {relation} AS t LIMIT {limit}"
