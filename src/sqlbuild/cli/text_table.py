"""Aligned columns for terminals and logs."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from sqlbuild.app.wording import one_line


def table_lines(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: frozenset[int] = frozenset(),
    limit: int = 60,
) -> list[str]:
    """Headers and rows as lines, columns two spaces apart; `right` names the columns that stand to the right.

    A cell longer than `limit` characters is cut; control characters are escaped.
    """
    cells = [[one_line(cell, limit) for cell in row] for row in (headers, *rows)]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(headers))]
    lines = []
    for row in cells:
        padded = [
            " " * (width - _width(cell)) + cell if column in right else cell + " " * (width - _width(cell))
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def fitted(lines: Iterable[str], width: int | None) -> list[str]:
    """The lines, cut to `width` terminal cells where that is given: one that wraps would hide how the others stand."""
    return [line if width is None or _width(line) <= width else _cut(line, width) for line in lines]


def _cut(text: str, width: int) -> str:
    kept = text[: max(width - 3, 0)]
    while _width(kept) > max(width - 3, 0):
        kept = kept[:-1]
    return f"{kept}..."[:width]


def _width(text: str) -> int:
    """Terminal cells: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) != 0 for character in text)
