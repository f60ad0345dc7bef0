"""One `functions/**/*.sql` file becomes a `Function`."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from pathlib import PurePosixPath

from sqlbuild.domain.columns import Column
from sqlbuild.domain.nodes import Function
from sqlbuild.domain.pattern import pattern
from sqlbuild.errors import Problem
from sqlbuild.project.field_reader import FieldReader
from sqlbuild.project.header_grammar import parse_header
from sqlbuild.project.located import Located, describe
from sqlbuild.project.model_fields import fold_prose, read_place
from sqlbuild.project.sql_references import Query, Visible, read_query
from sqlbuild.project.sql_text import start_of_text
from sqlbuild.project.text_file import TextFile

_HEADER = pattern(r"FUNCTION\s*+(?=\()", re.IGNORECASE)
_KEYS = frozenset({"description", "arguments", "returns", "database", "schema", "tags", "group", "meta"})
_TYPED = frozenset({"arguments", "returns"})
_EXAMPLE = "begin the file with FUNCTION (arguments (x INTEGER), returns INTEGER);"


def read_function(
    file: TextFile,
    problems: list[Problem],
    macros: Visible | None = None,
    defaults: Mapping[str, object] = types.MappingProxyType({}),
) -> Function:
    """The function of `file`, named like the file; returned whatever is wrong with it, so that calls find it.

    `defaults` are those of the project: where functions stand that do not say so.
    """
    begin = start_of_text(file.text)
    header = _HEADER.match(file.text, begin)
    query = Query(sql="", start=begin, unreadable=True)
    is_known = False
    arguments: tuple[Column, ...] = ()
    returns: str | None = ""
    columns: tuple[Column, ...] = ()
    reader = FieldReader(Located({}, file, begin), "", problems)
    if header is None:
        problems.append(file.problem("HEADER_PLACE", "the file has no FUNCTION header", _EXAMPLE, begin))
    else:
        before = len(problems)
        parsed = parse_header(file, header.end(), problems, of_types=_TYPED)
        reader = FieldReader(parsed.entries, "", problems)
        reader.refuse_unknown(_KEYS)
        arguments = _typed(reader, "arguments")
        returns, columns = _returned(reader)
        is_known = len(problems) == before
        if "returns" not in reader.entries and is_known:
            help = "write the type, as in `returns INTEGER`, or `returns table (id INTEGER)`"
            problems.append(file.problem("MISSING_KEY", "`returns` is missing", help, begin))
            is_known = False
        if parsed.end is not None:
            query = _body(file, parsed.end, problems, macros)
    line, column = file.line_and_column(query.start)
    return Function(
        name=PurePosixPath(file.path).stem,
        place=file.place(begin),
        sql=query.sql,
        sql_line=line,
        sql_column=column,
        references=query.references,
        passed=query.passed,
        expansions=query.expansions,
        readable=is_known and not query.unreadable,
        arguments=arguments,
        returns=returns,
        columns=columns,
        description=fold_prose(reader.text("description", empty=True)) or "",
        tags=reader.texts("tags") or (),
        group=reader.text("group"),
        meta=reader.json_table("meta") or {},
        schema=read_place(reader, "schema", "function", defaults),
        database=read_place(reader, "database", "function", defaults),
    )


def _body(file: TextFile, start: int, problems: list[Problem], macros: Visible | None) -> Query:
    found: list[Problem] = []
    query = read_query(file, start, found, macros)
    for problem in found:
        if problem.code == "EMPTY_QUERY":
            message, help = (
                "the function has no SQL",
                "write an expression behind the header, or a query of a table function",
            )
            problems.append(file.problem("EMPTY_QUERY", message, help, start))
        else:
            problems.append(problem)
    return query


def _returned(reader: FieldReader) -> tuple[str | None, tuple[Column, ...]]:
    """The type, or None and the columns of a table."""
    entry = reader.entries.get("returns")
    if entry is None:
        return "", ()
    if isinstance(entry.value, dict):
        columns = _typed(reader, "returns")
        if not columns:
            reader.refuse("returns", "`returns table ()` has no columns", "write each column with its type")
        return None, columns
    return str(entry.value), ()


def _typed(reader: FieldReader, key: str) -> tuple[Column, ...]:
    """Names with the types that the table `key` gives them."""
    entry = reader.entries.get(key)
    if entry is None:
        return ()
    if not isinstance(entry.value, dict):
        reader.refuse(
            key,
            f"`{key}` must be a table of types, not {describe(entry.value)}",
            f"write for example {key} (order_id INTEGER, day DATE)",
            code="WRONG_TYPE",
        )
        return ()
    columns: dict[str, Column] = {}
    for name, type_ in entry.value.items():
        if not isinstance(type_.value, str) or not type_.value:
            reader.problems.append(
                type_.problem("WRONG_TYPE", f"`{key}.{name}` must be a type", "write for example INTEGER", at_key=True)
            )
        elif name.lower() in columns:
            message = f"`{key}.{name}` is declared twice"
            reader.problems.append(
                type_.problem("DUPLICATE_KEY", message, "case does not matter; keep one", at_key=True)
            )
        else:
            columns[name.lower()] = Column(name=name, type=type_.value)
    return tuple(columns.values())
