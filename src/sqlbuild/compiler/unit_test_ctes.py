"""The CTEs of a unit test: which read which, and each as a query that needs no other helper."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sqlbuild.compiler.unit_test_text import Reading, SqlText
from sqlbuild.domain.ids import Place
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.domain.sql_reference import SqlReference
from sqlbuild.domain.unit_tests import MOCKS, CteRole, UnitTest, UnitTestCte
from sqlbuild.errors import Rebuilt
from sqlbuild.refs import Reference, ReferenceKind

_WORD = pattern(
    r"""--[^\n]*+|/\*[^*]*+\*++(?:[^/*][^*]*+\*++)*+/|'(?:[^']++|'')*+'|"((?:[^"]++|"")*+)"|([A-Za-z_][\w$]*+)|[^\s\w]""",
    re.ASCII,
)
_BEFORE_A_RELATION = frozenset({"from", "join", "table"})
_KINDS: Mapping[CteRole, ReferenceKind] = {
    CteRole.SOURCE: "source",
    CteRole.REF: "model",
    CteRole.SEED: "seed",
    CteRole.TABLE_FN: "function",
}


def mocked_by(cte: UnitTestCte) -> Reference | None:
    """What a mock stands for, with its name in lower case."""
    kind = _KINDS.get(cte.role)
    return None if kind is None else Reference(kind, cte.subject.lower())


@record(frozen=True, slots=True, kw_only=True)
class Closure:
    """What a CTE needs of its test: helpers and mocks by lower-case name, those that are read first; and the references
    that it and its helpers make."""

    helpers: tuple[str, ...]
    mocks: tuple[str, ...]
    references: tuple[SqlReference, ...]


class CycleOfCtes(Rebuilt):
    """CTEs that read each other; the names as written."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(" -> ".join(names))


class CtesOfTest:
    """Of one test. Names are in lower case."""

    def __init__(self, test: UnitTest) -> None:
        self.test = test
        self.by_name = {cte.name.lower(): cte for cte in test.ctes}
        self.mocks = {name: cte for name, cte in self.by_name.items() if cte.role in MOCKS}
        self.mock_of = {mocked_by(cte): name for name, cte in self.mocks.items() if mocked_by(cte) is not None}
        self._places = {name: place for place, name in enumerate(self.by_name)}
        self._closures: dict[str, Closure] = {}
        self._reads: dict[str, tuple[tuple[str, int, int], ...]] = {}

    def reads(self, name: str) -> tuple[tuple[str, int, int], ...]:
        """Other CTEs that one reads by their names, with start and end in its SQL."""
        if name not in self._reads:
            self._reads[name] = tuple(self._find_reads(name))
        return self._reads[name]

    def _find_reads(self, name: str) -> Iterator[tuple[str, int, int]]:
        sql = self.by_name[name].sql
        if sql.isascii() and not self._may_be_read_in(sql.lower(), name):
            return
        before = ""
        for found in _WORD.finditer(sql):
            quoted, word = found.groups()
            text = found.group()
            if text.startswith(("--", "/*")):
                continue
            written = (quoted if quoted is not None else word or "").lower()
            if written in self.by_name and written != name and before != ".":
                is_earlier = self._places[written] < self._places[name]
                follows = sql[found.end() : found.end() + 1]
                if before in _BEFORE_A_RELATION or (before == "," and is_earlier and follows not in (".", "(")):
                    yield written, found.start(), found.end()
            before = text.lower()

    def _may_be_read_in(self, lowered: str, name: str) -> bool:
        return any(other in lowered for other in self.by_name if other != name)

    def closure(self, name: str) -> Closure:
        """Raises CycleOfCtes."""
        if name not in self._closures:
            self._closures[name] = self._find_closure(name)
        return self._closures[name]

    def _find_closure(self, name: str) -> Closure:
        helpers: dict[str, None] = {}
        mocks: dict[str, None] = {}
        self._visit(name, (), helpers, mocks)
        helpers.pop(name, None)
        texts = [self.by_name[each] for each in (*helpers, name)]
        references = tuple(reference for cte in texts for reference in cte.references)
        mocks.pop(name, None)
        return Closure(helpers=tuple(helpers), mocks=tuple(mocks), references=references)

    def _visit(self, name: str, path: tuple[str, ...], helpers: dict[str, None], mocks: dict[str, None]) -> None:
        if name in path:
            cycle = (*path[path.index(name) :], name)
            raise CycleOfCtes(tuple(self.by_name[each].name for each in cycle))
        for read, _, _ in self.reads(name):
            if read in self.mocks:
                mocks[read] = None
            elif read not in helpers:
                self._visit(read, (*path, name), helpers, mocks)
        helpers[name] = None

    def mocks_in_order(self, needed: set[str]) -> tuple[str, ...]:
        """`needed` and the mocks that they read, those that are read first. Raises CycleOfCtes."""
        ordered: dict[str, None] = {}

        def visit(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                cycle = (*path[path.index(name) :], name)
                raise CycleOfCtes(tuple(self.by_name[each].name for each in cycle))
            if name not in ordered:
                for read in self.closure(name).mocks:
                    visit(read, (*path, name))
                ordered[name] = None

        for name in sorted(needed, key=self._places.__getitem__):
            visit(name, ())
        return tuple(ordered)

    def add_query(self, into: SqlText, name: str, helpers: tuple[str, ...], readings: dict[str, list[Reading]]) -> None:
        """The CTE's query with its helpers in a WITH of its own, so that nothing else sees them; `readings` by CTE."""
        cte = self.by_name[name]
        if not helpers:
            self._add_body(into, cte, readings[name])
            return
        into.add(" WITH RECURSIVE " if self.test.is_recursive else " WITH ")
        for index, helper in enumerate(helpers):
            defined = self.by_name[helper]
            into.add(f"{', ' if index else ''}{defined.name}{defined.columns} AS (")
            self._add_body(into, defined, readings[helper])
            into.add(")")
        into.add(" SELECT * FROM (")
        self._add_body(into, cte, readings[name])
        into.add(') AS "_"')

    def _add_body(self, into: SqlText, cte: UnitTestCte, readings: list[Reading]) -> None:
        into.add_placed(cte.sql, place_of_sql(cte), readings, cte.sql, cte.expansions)


def place_of_sql(cte: UnitTestCte) -> Place:
    return Place(cte.place.path, cte.sql_line, cte.sql_column)
