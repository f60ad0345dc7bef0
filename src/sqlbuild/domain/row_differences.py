"""How rows that were expected and rows that there are differ."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Sequence
from typing import Any

from sqlbuild.domain.record import record

LONGEST_VALUE = 500
"""Characters of one value that are kept."""

Row = tuple[Any, ...]


@record(frozen=True, slots=True)
class Difference:
    """A row that is missing (only `expected`), unexpected (only `actual`), or both: the nearest to each other.

    `times`: how often there is such a row more on one side than on the other.
    """

    expected: Row | None
    actual: Row | None
    times: int = 1

    def differing(self) -> tuple[int, ...]:
        """Indexes of the cells that are not the same, where there are two rows."""
        if self.expected is None or self.actual is None:
            return ()
        pairs = enumerate(zip(self.expected, self.actual, strict=True))
        return tuple(index for index, (left, right) in pairs if not same(left, right))


def same(left: object, right: object) -> bool:
    """As the warehouse compares rows: NULL is NULL and NaN is NaN."""
    if left is None or right is None:
        return left is right
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return bool(left == right)


def aligned(missing: Sequence[tuple[Row, int]], unexpected: Sequence[tuple[Row, int]]) -> tuple[Difference, ...]:
    """Missing and unexpected rows, each with how often, in pairs of rows that are near each other; then what is left.

    Rows are near if they share what tells most rows apart, or half of their cells. One row on each side is a pair.
    """
    left, right = [times for _, times in missing], [times for _, times in unexpected]
    weights = _weights([row for row, _ in missing], [row for row, _ in unexpected])
    heaviest = max(weights, default=0.0)
    candidates: list[tuple[float, int, int]] = []
    for one, (expected, _) in enumerate(missing):
        for other, (actual, _) in enumerate(unexpected):
            shared = [index for index in range(len(weights)) if same(expected[index], actual[index])]
            # Of two that are as near, the one that shares what stands further left.
            score = sum(1.0 + weights[index] - index / (100 * len(weights)) for index in shared)
            is_near = 2 * len(shared) >= len(weights) and bool(shared)
            if is_near or any(weights[index] == heaviest for index in shared) or len(left) == len(right) == 1:
                candidates.append((-score, one, other))
    pairs: list[tuple[int, Difference]] = []
    for _, one, other in sorted(candidates):
        times = min(left[one], right[other])
        if times:
            pairs.append((one, Difference(missing[one][0], unexpected[other][0], times)))
            left[one] -= times
            right[other] -= times
    return (
        *(pair for _, pair in sorted(pairs, key=lambda found: found[0])),
        *(Difference(row, None, times) for (row, _), times in zip(missing, left, strict=True) if times),
        *(Difference(None, row, times) for (row, _), times in zip(unexpected, right, strict=True) if times),
    )


def _weights(*sides: Sequence[Row]) -> list[float]:
    """Of each column, up to 1: the more of its values are different on either side, the more it says that two rows mean
    the same thing."""
    filled = [rows for rows in sides if rows]
    width = len(filled[0][0]) if filled else 0
    return [min(len({repr(row[index]) for row in rows}) / len(rows) for rows in filled) for index in range(width)]


def plain_value(value: object) -> object:
    """A value of a row for JSON: exact numbers, times and whatever JSON does not have as text."""
    match value:
        case None | bool():
            return value
        case int() if abs(value) < 2**53:
            return value
        case float() if math.isfinite(value):
            return value
        case str():
            return value if len(value) <= LONGEST_VALUE else f"{value[:LONGEST_VALUE]}..."
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat(" ") if isinstance(value, datetime.datetime) else value.isoformat()
        case decimal.Decimal():
            return format(value, "f")
        case _:
            text = str(value)
            return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def value_text(value: object) -> str:
    """A value as it is shown: text in quotes, so that `'NULL'` and NULL, `'1'` and 1 are told apart."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case str():
            shortened = value if len(value) <= LONGEST_VALUE else f"{value[:LONGEST_VALUE]}..."
            return (
                "'"
                + shortened.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
                + "'"
            )
        case bytes():
            return f"0x{value[:LONGEST_VALUE].hex()}"
        case _:
            return str(plain_value(value))
