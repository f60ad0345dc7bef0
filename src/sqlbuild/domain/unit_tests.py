"""Unit tests of SQL as they are declared: files of `tests/unit/`."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from sqlbuild.domain.ids import NodeId, Place, Relation
from sqlbuild.domain.record import record
from sqlbuild.domain.source_map import Expansion, written_in_line
from sqlbuild.domain.sql_reference import SqlReference
from sqlbuild.retries import RetryPolicy

Parameter = str | int | float | bool | None
"""The value of a parameter in one case; exact decimals are text."""


class UnitTestMode(enum.StrEnum):
    """What is tested."""

    MODEL = "model"
    MACRO = "macro"
    UDF = "udf"
    TABLE_FN = "table_fn"


class CteRole(enum.StrEnum):
    """What a CTE of a test is for."""

    SOURCE = "source"
    REF = "ref"
    SEED = "seed"
    TABLE_FN = "table_fn"
    MACRO = "macro"
    EXPECTED = "expected"
    ASSERT = "assert"
    ACTUAL = "actual"
    HELPER = "helper"


MOCKS = frozenset({CteRole.SOURCE, CteRole.REF, CteRole.SEED, CteRole.TABLE_FN})
"""Roles of CTEs that stand in the place of relations."""


@record(frozen=True, slots=True, kw_only=True)
class UnitTestCte:
    """One CTE of a test; `sql` is its body, whose first character stands at `sql_line` and `sql_column` of the file."""

    name: str
    role: CteRole
    subject: str
    """What follows the prefix: the name of a model, source and so on; of helpers their own name."""
    place: Place
    sql: str
    sql_line: int
    sql_column: int
    columns: str = ""
    """The list of column names behind the name, as written, with its brackets."""
    references: tuple[SqlReference, ...] = ()
    expansions: tuple[Expansion, ...] = ()
    """What of `sql` macros gave."""
    is_empty: bool = False
    """It is `SELECT * FROM __empty_fixture()`: all columns of what it stands for, and no rows."""


@record(frozen=True, slots=True, kw_only=True)
class UnitTest:
    """One `TEST (...)` block, or one case of it."""

    name: str
    """That of the block, and for a case that in brackets behind it: `status_rules[cancelled]`."""
    block: str
    """The name of the block."""
    place: Place
    mode: UnitTestMode = UnitTestMode.MODEL
    case: str | None = None
    parameters: Mapping[str, Parameter] = dataclasses.field(default_factory=dict)
    ctes: tuple[UnitTestCte, ...] = ()
    is_recursive: bool = False
    """It says WITH RECURSIVE."""
    description: str = ""
    tags: tuple[str, ...] = ()
    group: str | None = None
    meta: Mapping[str, object] = dataclasses.field(default_factory=dict)
    retry: RetryPolicy | None = None
    timeout: float | None = None
    """Seconds for one attempt; None if the header does not say."""
    has_time_limit: bool = True
    """False: the header says `timeout disabled`."""
    pools: tuple[str, ...] = ()
    sql_analysis: bool = True
    cursor_start: str | None = None
    cursor_end: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class PlacedLines:
    """Lines `first` to `last` of some SQL, from 1, that were taken from a file, where the first of them is `line`.

    `shift` is added to a column of the first line, to get its column in the file.
    """

    first: int
    last: int
    path: str
    line: int
    shift: int = 0
    text: str = ""
    """What stands there, if macros gave something of it."""
    expansions: tuple[Expansion, ...] = ()

    def place(self, line: int, column: int | None) -> Place:
        """Of a line of the SQL that is among these."""
        if self.expansions:
            begin = Place(self.path, self.line, 1 + self.shift)
            return written_in_line(self.text, begin, self.expansions, line - self.first + 1, column).place
        moved = column + self.shift if column is not None and line == self.first else column
        return Place(self.path, self.line + line - self.first, moved)


@record(frozen=True, slots=True, kw_only=True)
class PlacedSql:
    """SQL put together from several files; `lines` are in its order and do not overlap."""

    text: str
    lines: tuple[PlacedLines, ...] = ()

    def place(self, line: int, column: int | None = None) -> Place | None:
        """Where a line of the text stands in a file; None for what comes from none."""
        for each in self.lines:
            if each.first <= line <= each.last:
                return each.place(line, column)
        return None


ACTUAL = '"__sqb_actual"'
EXPECTED = '"__sqb_expected"'


@record(frozen=True, slots=True, kw_only=True)
class Verification:
    """One thing that a test verifies: the rows of a model, or that an assertion gives none.

    `ctes` is a WITH clause that defines ACTUAL and, to compare with, EXPECTED.
    """

    name: str
    """Of the model or assertion."""
    compares: bool
    """False: an assertion."""
    place: Place
    ctes: PlacedSql


@record(frozen=True, slots=True, kw_only=True)
class FunctionCopy:
    """A SQL function as it is in the project now, for a test that calls it as `relation`; `sql` is its rendered SQL."""

    node: NodeId
    relation: Relation
    sql: str
    types: str
    """What it takes and gives, for fingerprints."""


@record(frozen=True, slots=True, kw_only=True)
class UnitTestPlan:
    """What a test does, found out when the project is compiled. Names of nodes are without their kind."""

    verifications: tuple[Verification, ...] = ()
    models: tuple[str, ...] = ()
    """Whose real SQL it runs, upstreams first."""
    paths: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """Model -> from the model under test to it, both included."""
    functions: tuple[FunctionCopy, ...] = ()
    """That its SQL calls, those that others call first."""
    mocks: tuple[tuple[str, str], ...] = ()
    """Role and name of what is not real."""
    completed: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """Mock -> columns that it does not give and that are NULL therefore."""
