"""What is known of the columns in a unit test without running it: of its mocks, of what reads them, of what is expected."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Mapping, Sequence

from sqlbuild.compiler.cached_analysis import CachedAnalysis
from sqlbuild.compiler.unit_test_text import SqlText
from sqlbuild.domain.columns import Column
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.domain.source_map import shifted
from sqlbuild.domain.unit_tests import UnitTestCte
from sqlbuild.sql.query_analysis import Finding, InputReference, QueryInput
from sqlbuild.sql.rendering import quote_identifier
from sqlbuild.sql.stored_analysis import input_digest

KnownColumns = tuple[tuple[str, str | None], ...]
"""Names and types of all columns."""

_TOKEN = pattern(
    r"""--[^\n]*+|/\*[^*]*+\*++(?:[^/*][^*]*+\*++)*+/|'(?:[^']++|'')*+'|"(?:[^"]++|"")*+"|[^\W\d][\w$]*+|\S"""
)


@record(frozen=True, slots=True)
class Analysed:
    """`columns` are None where they are not known; `findings` are by lines of the text that was analysed."""

    columns: KnownColumns | None
    findings: tuple[Finding, ...]


def analyse_text(text: SqlText, inputs: Mapping[Hashable, QueryInput], analysis: CachedAnalysis) -> Analysed:
    """The columns of SQL that reads `inputs`, by the keys of its readings."""
    sql, references = text.to_analyse({key: index for index, key in enumerate(inputs)})
    return analyse_sql(sql, references, list(inputs.values()), analysis)


def analyse_sql(
    sql: str, references: Sequence[InputReference], inputs: Sequence[QueryInput], analysis: CachedAnalysis
) -> Analysed:
    found = analysis.analyse(sql, references, inputs, [input_digest(each) for each in inputs])
    columns = None
    if found.columns is not None and not found.findings:
        columns = tuple((column.name, column.type) for column in found.columns)
    return Analysed(columns, found.findings)


def query_input(label: str, alias: str, columns: KnownColumns | None, *, complete: bool = True) -> QueryInput:
    return QueryInput(label=label, alias=alias, columns=columns or (), complete=columns is not None and complete)


def renamed(columns: KnownColumns | None, listed: str) -> KnownColumns | None:
    """Columns as a list of names behind the CTE's own calls them."""
    if columns is None or not listed:
        return columns
    names = [name.strip().strip('"') for name in listed.strip("()").split(",")]
    return tuple((name, type_) for name, (_, type_) in zip(names, columns, strict=False)) + columns[len(names) :]


def columns_to_complete(given: Iterable[str], declared: Sequence[Column], *, fold: bool) -> tuple[Column, ...]:
    """Declared columns that a mock does not give and that can be NULL in it: their type is known."""
    have = {name.lower() if fold else name for name in given}
    return tuple(
        column
        for column in declared
        if column.type and column.nullable is not False and (column.name.lower() if fold else column.name) not in have
    )


def null_columns(columns: Iterable[Column]) -> str:
    """A select list with a NULL of its type for each column."""
    return ", ".join(f"CAST(NULL AS {column.type}) AS {quote_identifier(column.name)}" for column in columns)


def with_typed_nulls(cte: UnitTestCte, declared: Sequence[Column]) -> UnitTestCte:
    """Each `NULL AS name` of a select list as a NULL of the type that the column has in what is mocked."""
    types = {column.name.lower(): column.type for column in declared if column.type}
    if not types or "null" not in cte.sql.lower():
        return cte
    tokens = [found for found in _TOKEN.finditer(cte.sql) if not found.group().startswith(("--", "/*"))]
    pieces: list[str] = []
    references = list(cte.references)
    edits: list[tuple[int, int]] = []
    position = 0
    for before, null, keyword, name in zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False):
        if null.group().lower() != "null" or before.group().lower() not in ("select", ","):
            continue
        type_ = types.get(name.group().strip('"').lower()) if keyword.group().lower() == "as" else None
        if type_ is None:
            continue
        typed = f"CAST(NULL AS {type_})"
        pieces += [cte.sql[position : null.start()], typed]
        position = null.end()
        by = len(typed) - len(null.group())
        edits.append((null.start(), by))
        references = [
            dataclasses.replace(moved, start=moved.start + by, end=moved.end + by) if was.start >= null.end() else moved
            for was, moved in zip(cte.references, references, strict=True)
        ]
    sql = "".join((*pieces, cte.sql[position:]))
    return dataclasses.replace(cte, sql=sql, references=tuple(references), expansions=shifted(cte.expansions, edits))
