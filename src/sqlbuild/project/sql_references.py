"""Finds the end of a query and the `__ref("x")`, `__source("x")` and `__seed("x")` calls in it."""

from __future__ import annotations

import dataclasses
import re

from sqlbuild.domain.nodes import SqlReference
from sqlbuild.errors import Problem
from sqlbuild.project.sql_text import Unclosed, end_of_comment, end_of_quoted, skip_blank
from sqlbuild.project.text_file import TextFile
from sqlbuild.refs import Reference, ReferenceKind

_KINDS: dict[str, ReferenceKind] = {"__ref": "model", "__source": "source", "__seed": "seed"}

_INTERESTING = re.compile(
    r"""(?P<quote>['"$])|(?P<line_comment>--[^\n]*+)|(?P<comment>/\*)|(?P<semicolon>;)"""
    r"""|(?P<jinja>\{(?:%|\{-?\s*+(?:ref|source|config|var|this)\b))"""
    r"""|(?<![\w$])(?P<call>__[A-Za-z_]++)(?![\w$])|(?P<at>@(?:py\.|sql\.|enum\b|const\b|@++(?=[A-Za-z_])))"""
)
_NAME = re.compile(r'\("([^"\n]+)"\)')
_VISIBLE = re.compile(r"\S")
_BLANKS = r"(?:\s++|/\*[^*]*+\*++(?:[^/*][^*]*+\*++)*+/)*+"
_ARGUMENT = r"""(?:"[^"\n]*"|'[^'\n]*'|[\w.]+)"""
_LOOSE_CALL = re.compile(rf"{_BLANKS}\({_BLANKS}(?:{_ARGUMENT}{_BLANKS}(?:,{_BLANKS}(?:{_ARGUMENT}{_BLANKS})?)*)?\)?")
_WRITTEN_NAME = re.compile(r"[\w.]+")

_UNSUPPORTED_CALLS = {
    "__udf": "SQL functions",
    "__table_fn": "SQL functions",
    "__dbt_ref": "references to dbt projects",
    "__cursor_start": "incremental models",
    "__cursor_end": "incremental models",
}
_UNSUPPORTED_AT = {
    "@py.": "macros",
    "@sql.": "macros",
    "@enum": "enums",
    "@const": "constants",
    "@@": "variables in SQL",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One statement: its text without blank edges and final semicolon, from `start` of the file on."""

    sql: str
    start: int
    references: tuple[SqlReference, ...] = ()


def read_query(file: TextFile, start: int, problems: list[Problem]) -> Query:
    """The one query that stands in `file` from `start` to the end; whatever is wrong with it is a problem."""
    text = file.text
    begin = _first_visible(text, start)
    try:
        query_start = skip_blank(text, start)
        end, references = _scan(file, query_start, begin, problems)
        following = end
        while text.startswith(";", following):
            following = skip_blank(text, following + 1)
    except Unclosed as unclosed:
        problems.append(file.problem("SQL_SYNTAX", str(unclosed), unclosed.help, unclosed.offset))
        return Query(sql=text[begin:].rstrip(), start=begin)
    if query_start == end:
        problems.append(file.problem("EMPTY_QUERY", "there is no query", "write a SELECT statement", end))
    elif following < len(text):
        problems.append(
            file.problem("STATEMENTS", "a second statement begins here", "keep one statement in a file", following)
        )
    return Query(sql=text[begin:end].rstrip(), start=begin, references=tuple(references))


def _first_visible(text: str, start: int) -> int:
    found = _VISIBLE.search(text, start)
    return found.start() if found else len(text)


def is_code(text: str, start: int, offset: int) -> bool:
    """Whether `offset` stands outside of quotes and comments; `start` must."""
    try:
        while (found := _INTERESTING.search(text, start)) and found.start() < offset:
            match found.lastgroup:
                case "quote":
                    start = end_of_quoted(text, found.start())
                case "comment":
                    start = end_of_comment(text, found.start())
                case _:
                    start = found.end()
    except Unclosed:
        return False
    return start <= offset


def _scan(file: TextFile, start: int, zero: int, problems: list[Problem]) -> tuple[int, list[SqlReference]]:
    """The offset of the first semicolon (or the end of the text), and the references before it.

    `start` stands outside of quotes and comments; the offsets of the references count from `zero`.
    """
    text, position = file.text, start
    references: list[SqlReference] = []
    while found := _INTERESTING.search(text, position):
        position = found.end()
        match found.lastgroup:
            case "quote":
                position = end_of_quoted(text, found.start())
            case "comment":
                position = end_of_comment(text, found.start())
            case "semicolon":
                return found.start(), references
            case "call":
                position = _read_call(file, found, zero, references, problems)
            case "at":
                what = _UNSUPPORTED_AT.get(found.group(), "placeholders in SQL")
                _refuse_unsupported(file, found.start(), found.group(), what, problems)
            case "jinja":
                return _refuse_jinja(file, found, problems), references
            case _:
                pass
    return len(text), references


def _read_call(
    file: TextFile, found: re.Match[str], zero: int, references: list[SqlReference], problems: list[Problem]
) -> int:
    word, position = found.group(), found.end()
    kind = _KINDS.get(word.lower())
    if kind is None:
        if word.lower() in _UNSUPPORTED_CALLS:
            _refuse_unsupported(file, found.start(), f"{word}()", _UNSUPPORTED_CALLS[word.lower()], problems)
        return position
    name = _NAME.match(file.text, position)
    if name is None or word not in _KINDS:
        return _refuse_malformed(file, found.start(), position, word, problems)
    references.append(
        SqlReference(
            reference=Reference(kind, name.group(1)),
            start=found.start() - zero,
            end=name.end() - zero,
            place=file.place(found.start()),
        )
    )
    return name.end()


def _refuse_malformed(file: TextFile, start: int, position: int, word: str, problems: list[Problem]) -> int:
    """Say how the call should be written, and go on behind it."""
    call = _LOOSE_CALL.match(file.text, position)
    end = call.end() if call else position
    names = _WRITTEN_NAME.findall(re.sub(r"/\*[\s\S]*?\*/", "", file.text[position:end]))
    name = names[-1] if names else "name"
    shown = " ".join(file.text[start:end].split())
    problems.append(
        file.problem(
            "REFERENCE",
            f"`{shown if len(shown) <= 60 else shown[:57] + '...'}` is not a valid reference",
            f'write {word.lower()}("{name}"): one name in double quotes, without blanks around it',
            start,
        )
    )
    return end


def _refuse_jinja(file: TextFile, found: re.Match[str], problems: list[Problem]) -> int:
    """One problem for the whole file; what follows would only be misread."""
    help = 'write __ref("name") or __source("name"); settings stand in a header, as in `MODEL (materialized table);`'
    problems.append(file.problem("REFERENCE", "Jinja templates are not understood", help, found.start()))
    return len(file.text)


def _refuse_unsupported(file: TextFile, start: int, shown: str, what: str, problems: list[Problem]) -> None:
    problems.append(
        file.problem("UNSUPPORTED", f"`{shown}`: {what} are not supported yet", "write the SQL out in the query", start)
    )
