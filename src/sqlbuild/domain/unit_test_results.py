"""What a unit test found out, as it is kept in its result, and the same in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlbuild.domain.ids import Place
from sqlbuild.domain.record import record
from sqlbuild.domain.row_differences import Difference, Row, plain_value, value_text

NOT_AS_EXPECTED = "NotAsExpected"
"""The type of the error of a test that failed by what it found, not by SQL that does not run."""
ROWS_SHOWN = 10
ROWS_KEPT = 20
WIDTH = 92
"""Characters of a line of text."""
_LONGEST_CELL = 32
_GAP = 2


@record(frozen=True, slots=True, kw_only=True)
class Compared:
    """A model beside what was expected of it; `differences` are the first of them."""

    model: str
    place: Place
    columns: tuple[str, ...] = ()
    expected_rows: int = 0
    actual_rows: int = 0
    missing: int = 0
    unexpected: int = 0
    differences: tuple[Difference, ...] = ()
    unknown_columns: tuple[str, ...] = ()
    """Expected ones that the model does not give; then nothing was compared."""
    given_columns: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not (self.missing or self.unexpected or self.unknown_columns)


@record(frozen=True, slots=True, kw_only=True)
class Asserted:
    """An assertion, and the first of the rows that it gave."""

    name: str
    place: Place
    columns: tuple[str, ...] = ()
    rows: int = 0
    samples: tuple[Row, ...] = ()

    @property
    def passed(self) -> bool:
        return self.rows == 0


Verified = Compared | Asserted


def document_of(verified: Verified) -> dict[str, Any]:
    """For JSON."""
    status = "pass" if verified.passed else "fail"
    if isinstance(verified, Asserted):
        return {
            "check": "assert",
            "name": verified.name,
            "status": status,
            "line": verified.place.line,
            "rows": verified.rows,
            "samples": [_record(verified.columns, row) for row in verified.samples[:ROWS_KEPT]],
        }
    columns, found = verified.columns, verified.differences
    pairs = [each for each in found if each.expected is not None and each.actual is not None]
    return {
        "check": "expected",
        "name": verified.model,
        "status": status,
        "line": verified.place.line,
        "columns": list(columns),
        "expected_rows": verified.expected_rows,
        "actual_rows": verified.actual_rows,
        "missing_rows": verified.missing,
        "unexpected_rows": verified.unexpected,
        "unknown_columns": list(verified.unknown_columns),
        "changed_samples": [
            {
                "columns": [columns[index] for index in each.differing()],
                "expected": _record(columns, each.expected or ()),
                "actual": _record(columns, each.actual or ()),
                "times": each.times,
            }
            for each in pairs[:ROWS_KEPT]
        ],
        "missing_samples": [_record(columns, each.expected) for each in found if each.expected is not None][:ROWS_KEPT],
        "unexpected_samples": [_record(columns, each.actual) for each in found if each.actual is not None][:ROWS_KEPT],
    }


def _record(columns: Sequence[str], row: Row) -> dict[str, object]:
    return {column: plain_value(value) for column, value in zip(columns, row, strict=False)}


def lines_of(verified: Verified) -> list[str]:
    """What is wrong, in words and as a table; no colour is needed to read it."""
    if isinstance(verified, Asserted):
        title = f"__assert__{verified.name}: {_counted(verified.rows, 'row')}, expected none"
        rows = [("", row) for row in verified.samples[:ROWS_SHOWN]]
        left = verified.rows - len(rows)
        return [title, *_table(verified.columns, rows, ()), *_more(left, "row")]
    if verified.unknown_columns:
        names = ", ".join(verified.unknown_columns)
        given = ", ".join(verified.given_columns)
        return [f"__expected__{verified.model} lists {names}, which {verified.model} does not give; it gives {given}"]
    return [_title(verified), *_differences(verified)]


def _title(compared: Compared) -> str:
    pairs = sum(each.times for each in compared.differences if each.expected is not None and each.actual is not None)
    missing, unexpected = compared.missing - pairs, compared.unexpected - pairs
    told = (
        (pairs, "differs" if pairs == 1 else "differ"),
        (missing, "is missing" if missing == 1 else "are missing"),
        (unexpected, "is unexpected" if unexpected == 1 else "are unexpected"),
    )
    facts = [f"{_counted(number, 'row')} {what}" for number, what in told if number]
    rows = f"expected {_counted(compared.expected_rows, 'row')}, got {compared.actual_rows:,}"
    return f"{compared.model}: {', '.join(facts)} ({rows})"


def _differences(compared: Compared) -> list[str]:
    shown = compared.differences[:ROWS_SHOWN]
    rows: list[tuple[str, Row]] = []
    marked: list[tuple[int, ...]] = []
    for each in shown:
        often = f"  x{each.times}" if each.times > 1 else ""
        if each.expected is not None:
            rows.append(("-" if each.actual is not None else f"- missing{often}", each.expected))
            marked.append(())
        if each.actual is not None:
            rows.append(("+" + often if each.expected is not None else f"+ unexpected{often}", each.actual))
            marked.append(each.differing())
    legend = "- expected  + got"
    wide = _unrolled(compared.columns, shown)
    table = _table(compared.columns, rows, marked)
    told = sum(each.times * ((each.expected is not None) + (each.actual is not None)) for each in shown)
    left = compared.missing + compared.unexpected - told
    return [legend, *(wide or table), *_more(left, "row")]


def _unrolled(columns: Sequence[str], shown: Iterable[Difference]) -> list[str]:
    """Rows one cell below the other, where what differs would not fit into one line; else nothing."""
    differing = {index for each in shown for index in each.differing()}
    width = sum(min(max(len(columns[index]), 8), _LONGEST_CELL) + _GAP for index in differing)
    if width <= WIDTH - 24:
        return []
    lines: list[str] = []
    for each in shown:
        row = each.expected or each.actual or ()
        kind = "differs" if each.expected and each.actual else "missing" if each.expected else "unexpected"
        lines.append(f"row {columns[0]} = {_cut(value_text(row[0]), 40)} {kind}")
        for index in each.differing():
            expected, actual = (each.expected or ())[index], (each.actual or ())[index]
            left, right = _cut_pair(value_text(expected), value_text(actual), WIDTH - 12)
            lines += [f"  {columns[index]}", f"    - {left}", f"    + {right}"]
    return lines


def _table(columns: Sequence[str], rows: Sequence[tuple[str, Row]], marked: Sequence[tuple[int, ...]]) -> list[str]:
    """Cells below their column names; under those at the indexes `marked` of a row stand carets."""
    if not rows:
        return []
    cells = [[value_text(value) for value in row] for _, row in rows]
    for index, marks in enumerate(marked):
        for column in marks:
            cells[index - 1][column], cells[index][column] = _cut_pair(
                cells[index - 1][column], cells[index][column], _LONGEST_CELL
            )
    names = [_cut(name, _LONGEST_CELL) for name in columns]
    cells = [[_cut(cell, _LONGEST_CELL) for cell in row] for row in cells]
    widths = [max(len(names[at]), *(len(row[at]) for row in cells)) for at in range(len(names))]
    label = max(len(text) for text, _ in rows)
    kept = _fitting(widths, {index for marks in marked for index in marks}, WIDTH - label - _GAP)
    lines = [_line("", [names[at] for at in kept], [widths[at] for at in kept], label)]
    for number, (text, _) in enumerate(rows):
        lines.append(_line(text, [cells[number][at] for at in kept], [widths[at] for at in kept], label))
        marks = marked[number] if marked else ()
        if marks:
            carets = ["^" * len(cells[number][at]) if at in marks else "" for at in kept]
            lines.append(_line("", carets, [widths[at] for at in kept], label))
    hidden = [columns[at] for at in range(len(columns)) if at not in kept]
    if hidden:
        more = f" and {len(hidden) - 8} more" if len(hidden) > 8 else ""
        lines.append(f"columns not shown: {', '.join(hidden[:8])}{more}")
    return lines


def _fitting(widths: Sequence[int], needed: set[int], room: int) -> list[int]:
    """The columns that fit into `room`: those that are needed, then the others from the left."""
    kept: set[int] = set()
    for at in (*sorted(needed), *range(len(widths))):
        if at not in kept and (not kept or sum(widths[each] + _GAP for each in kept) + widths[at] <= room):
            kept.add(at)
    return sorted(kept)


def _line(label: str, cells: Sequence[str], widths: Sequence[int], label_width: int) -> str:
    padded = (f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
    return (f"{label:<{label_width}}" + " " * _GAP + (" " * _GAP).join(padded)).rstrip()


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _cut_pair(left: str, right: str, length: int) -> tuple[str, str]:
    """Two texts that differ, of which what differs first is still there."""
    if len(left) <= length and len(right) <= length:
        return left, right
    pairs = enumerate(zip(left, right, strict=False))
    first = next((at for at, (one, other) in pairs if one != other), min(len(left), len(right)))
    start = max(0, first - length // 2)
    if start == 0:
        return _cut(left, length), _cut(right, length)
    return _cut(f"...{left[start + 3 :]}", length), _cut(f"...{right[start + 3 :]}", length)


def _more(left: int, what: str) -> list[str]:
    return [f"... and {_counted(left, f'more {what}')}"] if left > 0 else []


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
