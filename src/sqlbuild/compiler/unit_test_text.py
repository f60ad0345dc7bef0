"""SQL of a unit test, put together from several files."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import NamedTuple

from sqlbuild.domain.ids import Place
from sqlbuild.domain.source_map import Expansion
from sqlbuild.domain.unit_tests import PlacedLines, PlacedSql
from sqlbuild.sql.query_analysis import InputReference
from sqlbuild.sql.rendering import has_alias_behind, quote_identifier


class Reading(NamedTuple):
    """Where SQL reads a relation or calls a function. `alias` is what qualifies its columns if the SQL gives no other, empty
    for a function, which has none; None where the text is a name that stays."""

    start: int
    end: int
    key: Hashable
    alias: str | None


class SqlText:
    """Pieces of SQL one behind the other, each with where it comes from and what it reads."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._line = 1
        self._reads: list[Reading] = []
        self._lines: list[PlacedLines] = []

    def add(self, text: str) -> None:
        """SQL that stands in no file."""
        self._parts.append(text)
        self._length += len(text)
        self._line += text.count("\n")

    def add_placed(
        self,
        sql: str,
        place: Place,
        reads: Iterable[Reading] = (),
        written: str = "",
        expansions: tuple[Expansion, ...] = (),
    ) -> None:
        """SQL that begins at `place`, on a line of its own here; `reads` are by offsets of `sql`. `expansions` are what
        macros gave of it, by offsets of `written`, which has the same lines."""
        self.add("\n")
        self._reads += [read._replace(start=read.start + self._length, end=read.end + self._length) for read in reads]
        first = self._line
        self.add(sql)
        self._lines.append(
            PlacedLines(
                first=first,
                last=self._line,
                path=place.path,
                line=place.line or 1,
                shift=(place.column or 1) - 1,
                text=written if expansions else "",
                expansions=expansions,
            )
        )
        self.add("\n")

    def rendered(self, names: Mapping[Hashable, str]) -> PlacedSql:
        """With the name of a CTE, as SQL, in the place of each reading; `names` has all of them."""
        text = "".join(self._parts)
        pieces: list[str] = []
        position = 0
        for start, end, key, alias in sorted(self._reads, key=lambda read: read[0]):
            if alias is None:
                continue
            pieces += [text[position:start], names[key]]
            if alias and not has_alias_behind(text, end):
                pieces.append(f" AS {quote_identifier(alias)}")
            position = end
        return PlacedSql(text="".join((*pieces, text[position:])), lines=tuple(self._lines))

    def to_analyse(self, inputs: Mapping[Hashable, int]) -> tuple[str, list[InputReference]]:
        """The text and its references, each as the index that `inputs` has for what is read."""
        found = [InputReference(start, end, inputs[key]) for start, end, key, _ in self._reads]
        return "".join(self._parts), found

    def placed(self) -> PlacedSql:
        return PlacedSql(text="", lines=tuple(self._lines))
