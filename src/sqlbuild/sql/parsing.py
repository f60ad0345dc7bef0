"""SQL text to a syntax tree, or to what is wrong with it. Imported only by what needs the parser."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from sqlglot import exp, parse
from sqlglot.errors import ParseError, SqlglotError

from sqlbuild.domain.record import record
from sqlbuild.sql.query_analysis import Finding, masked_input
from sqlbuild.sql.tokens import Token, TokenKind, UnclosedText, tokens

MAX_BRACKETS = 150
"""Deeper queries are not parsed: the parser calls itself for every bracket, and its compiled form without a limit."""

_QUERIES = (exp.Query, exp.Values, exp.Pivot, exp.Describe, exp.Summarize, exp.Show)
_OTHER_STATEMENTS = """
    alter analyze attach begin call checkpoint comment commit copy create deallocate delete detach drop execute explain
    export force grant import insert install load merge pragma prepare reset revoke rollback savepoint set start
    truncate update use vacuum
"""
_STATEMENTS = frozenset(_OTHER_STATEMENTS.split())
_CLOSING = {"(": ")", "[": "]", "{": "}"}


@record(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A syntax tree; without one either `findings` say what is wrong or `note` why it was not parsed."""

    tree: exp.Expr | None = None
    findings: tuple[Finding, ...] = ()
    note: str = ""


def parse_query(text: str, dialect: str) -> Parsed:
    """Parse one query. Never raises for the text's content."""
    try:
        first = next(tokens(text), None)
    except UnclosedText as error:
        return Parsed(findings=(_at(text, error.offset, "SQL_SYNTAX", str(error), "close it"),))
    if first is None:
        return Parsed(findings=(Finding(code="SQL_SYNTAX", message="there is no query", help="write a SELECT"),))
    if first.kind is TokenKind.WORD and first.text.lower() in _STATEMENTS:
        return Parsed(findings=(_no_query(text, first),))
    if sum(map(text.count, "([{")) > MAX_BRACKETS:
        outline = _outline(text)
        if isinstance(outline, Finding):
            return Parsed(findings=(outline,))
        if outline > MAX_BRACKETS:
            return Parsed(note=f"{outline} brackets inside each other")
    try:
        with _quiet_parser():
            trees = parse(text, read=dialect)
    except RecursionError:
        return Parsed(note="the query is nested too deeply")
    except SqlglotError as error:
        outline = _outline(text)
        return Parsed(findings=(outline if isinstance(outline, Finding) else _syntax_finding(error),))
    found = [tree for tree in trees if tree is not None and not isinstance(tree, exp.Semicolon)]
    if len(found) > 1:
        outline = _outline(text)
        message, help = "there is more than one statement", "keep one query in a file"
        wrong = outline if isinstance(outline, Finding) else _at(text, first.start, "SQL_SYNTAX", message, help)
        return Parsed(findings=(wrong,))
    if not found or not isinstance(found[0], _QUERIES):
        return Parsed(findings=(_no_query(text, first),))
    return Parsed(tree=found[0])


def _outline(text: str) -> int | Finding:
    """How many brackets stand inside each other; or what the tokens alone show to be wrong."""
    ended = False
    open_brackets: list[Token] = []
    depth = 0
    try:
        for token in tokens(text):
            if ended and token.text != ";":
                message, help = "a second statement starts here", "keep one query; remove what follows the semicolon"
                return _at(text, token.start, "SQL_SYNTAX", message, help)
            if token.kind is not TokenKind.MARK:
                continue
            if token.text in "([{":
                open_brackets.append(token)
                depth = max(depth, len(open_brackets))
            elif token.text in ")]}":
                if not open_brackets or _CLOSING[open_brackets.pop().text] != token.text:
                    help = "remove it, or open a bracket before it"
                    return _at(text, token.start, "SQL_SYNTAX", f'this "{token.text}" closes nothing', help)
            elif token.text == ";" and not open_brackets:
                ended = True
    except UnclosedText as error:
        return _at(text, error.offset, "SQL_SYNTAX", str(error), "close it")
    if open_brackets:
        unclosed = open_brackets[-1]
        help = f'close it with "{_CLOSING[unclosed.text]}"'
        return _at(text, unclosed.start, "SQL_SYNTAX", f'this "{unclosed.text}" is never closed', help)
    return depth


def _no_query(text: str, first: Token) -> Finding:
    word = first.text.upper()
    return _at(
        text, first.start, "NOT_A_QUERY", f"this is no query: it starts with {word}", "write one SELECT (or WITH, FROM)"
    )


def _syntax_finding(error: SqlglotError) -> Finding:
    details = error.errors[0] if isinstance(error, ParseError) and error.errors else None
    help = "correct it there"
    if details is None or not details.get("line"):
        return Finding(code="SQL_SYNTAX", message=str(error).splitlines()[0], help=help, certain=False)
    shown = details.get("highlight") or ""
    description = (details.get("description") or "").rstrip(".")
    where = "this reference" if masked_input(shown.strip('"')) is not None else f'"{shown}"'
    if description.startswith("Invalid expression"):
        message = f"{where} is not expected here"
    elif description.startswith("Required keyword"):
        message = f"something is missing near {where}"
    else:
        message = f"{description[:1].lower()}{description[1:]} near {where}"
    column = int(details["col"] or 1) - max(len(shown), 1) + 1
    return Finding(
        code="SQL_SYNTAX", message=message, help=help, line=details["line"], column=max(column, 1), certain=False
    )


def _at(text: str, offset: int, code: str, message: str, help: str) -> Finding:
    line, column = line_and_column(text, offset)
    return Finding(code=code, message=message, help=help, line=line, column=column)


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Both count from 1."""
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


@contextlib.contextmanager
def _quiet_parser() -> Iterator[None]:
    """The parser logs what it does not know; that is no message for the user."""
    logger = logging.getLogger("sqlglot")
    was_disabled = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = was_disabled
