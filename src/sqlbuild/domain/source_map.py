"""Where text that macros were expanded in comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from sqlbuild.domain.ids import Place
from sqlbuild.domain.record import record


@record(frozen=True, slots=True, kw_only=True)
class Expansion:
    """What a macro call became: the expanded text from `start` to `end`.

    `place` is where the call stands in the author's file, `behind` where the text behind it does.
    """

    macro: str
    defined: Place
    start: int
    end: int
    place: Place
    behind: Place

    def moved(self, by: int) -> Expansion:
        return dataclasses.replace(self, start=self.start + by, end=self.end + by)

    def told(self) -> str:
        """For messages: which macro it is of, and where that stands."""
        return f"the SQL of the macro {self.macro} ({self.defined})"


@record(frozen=True, slots=True)
class Written:
    """Where a piece of expanded text comes from: its place in the author's file, which is a call's if `expansion`."""

    place: Place
    expansion: Expansion | None = None


def written_at(text: str, begin: Place, expansions: Sequence[Expansion], offset: int) -> Written:
    """The origin of what stands at `offset` of `text`, which begins at `begin` of a file; `expansions` in their order."""
    start, anchor = 0, begin
    for expansion in expansions:
        if offset < expansion.start:
            break
        if offset < expansion.end:
            return Written(expansion.place, expansion)
        start, anchor = expansion.end, expansion.behind
    if anchor.line is None:
        return Written(anchor)
    newlines = text.count("\n", start, offset)
    if newlines == 0:
        return Written(Place(anchor.path, anchor.line, (anchor.column or 1) + offset - start))
    return Written(Place(anchor.path, anchor.line + newlines, offset - text.rfind("\n", start, offset)))


def written_in_line(
    text: str, begin: Place, expansions: Sequence[Expansion], line: int, column: int | None = None
) -> Written:
    """The same for a line of `text` and a column in it, which count from 1; without a column for the line as a whole."""
    start = offset_of_line(text, line)
    found = written_at(text, begin, expansions, start + (column or 1) - 1)
    if column is None and found.expansion is None:
        return Written(Place(found.place.path, found.place.line))
    return found


def offset_of_line(text: str, line: int) -> int:
    """Where the line begins; the end of the text if it has no such line."""
    offset = 0
    for _ in range(line - 1):
        newline = text.find("\n", offset)
        if newline < 0:
            return len(text)
        offset = newline + 1
    return offset


def shifted(expansions: Iterable[Expansion], edits: Sequence[tuple[int, int]]) -> tuple[Expansion, ...]:
    """The expansions after the text was edited: an edit is an offset, and by how much everything behind it moved."""
    moved: list[Expansion] = []
    for expansion in expansions:
        before = sum(by for at, by in edits if at < expansion.start)
        inside = sum(by for at, by in edits if at < expansion.end)
        moved.append(dataclasses.replace(expansion, start=expansion.start + before, end=expansion.end + inside))
    return tuple(moved)
