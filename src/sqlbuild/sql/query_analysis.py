"""What can be found out about a query without asking the warehouse, as plain records."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from sqlbuild.domain.record import record


@record(frozen=True, slots=True, kw_only=True)
class QueryInput:
    """One relation that a query reads, as far as its columns are known.

    `complete` says that it has no other columns than `columns`. `label` is how messages call it. `alias` is the name
    under which the SQL can qualify its columns unless it gives another.
    """

    label: str
    alias: str
    columns: tuple[tuple[str, str | None], ...] = ()
    complete: bool = False
    nullable: Mapping[str, bool] = dataclasses.field(default_factory=dict)
    """By column, where it is known: False means that it never holds a NULL."""

    scalar: bool = False
    """A function that gives one value: the type of its only column."""


@record(frozen=True, slots=True)
class InputReference:
    """A piece of the query's text, from `start` to `end`, that stands for an input (an index)."""

    start: int
    end: int
    input: int


@record(frozen=True, slots=True, kw_only=True)
class Query:
    """A query with `references` to its `inputs` in it, and all that its analysis depends on.

    `arguments` are what names can also mean that are no columns, in the SQL of a function.
    """

    sql: str
    dialect: str
    references: tuple[InputReference, ...] = ()
    inputs: tuple[QueryInput, ...] = ()
    arguments: QueryInput | None = None


@record(slots=True)
class OutputColumn:
    """A column of the result; `sources` are the columns of inputs (index, name) that its values are made of.

    Not frozen, as there is one for every column of the project in every command: making it costs a third.

    `transform` says how: `direct` as they are, `cast` to another type, in an `expression`, in an `aggregation`;
    `constant` if they are made of no column. `nullable` is False where it surely never is NULL, True where nothing
    keeps NULL out, as in the result of a CASE without ELSE, and None where neither is known.
    """

    name: str
    type: str | None
    sources: tuple[tuple[int, str], ...] = ()
    transform: str = "direct"
    nullable: bool | None = None


@record(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong in the query's text; `line` and `column` count from 1 in that text.

    Not `certain`: the parser does not understand it, but it may not know everything that the warehouse does.
    """

    code: str
    message: str
    help: str = ""
    line: int | None = None
    column: int | None = None
    certain: bool = True


@record(frozen=True, slots=True)
class NamedTable:
    """A table that the query names by itself, where a reference to a project's node may have been meant."""

    database: str
    schema: str
    name: str
    line: int
    column: int


@record(frozen=True, slots=True, kw_only=True)
class QueryAnalysis:
    canonical_digest: str
    """Of the query's canonical text; the same as long as only blanks, comments or the case of keywords change."""
    columns: tuple[OutputColumn, ...] | None = None
    """None where their names are not sure; `notes` say why."""
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    tables: tuple[NamedTable, ...] = ()


MASK_LETTER = "@"


def mask_references(sql: str, references: Sequence[InputReference]) -> str:
    """`sql` with a quoted name of the same length in place of every reference, so that all offsets stay right."""
    parts: list[str] = []
    position = 0
    for reference in sorted(references, key=lambda found: found.start):
        length = reference.end - reference.start
        parts.append(sql[position : reference.start])
        parts.append('"' + f"{MASK_LETTER}{reference.input:0{length - 3}}" + '"')
        position = reference.end
    parts.append(sql[position:])
    return "".join(parts)


def masked_input(name: str) -> int | None:
    """The input for which `mask_references` wrote `name`, or None."""
    return int(name[1:]) if name.startswith(MASK_LETTER) and name[1:].isdecimal() else None
