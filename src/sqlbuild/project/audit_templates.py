"""Generic audits: queries with `@name` in them, and what stands there when one is attached."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sqlbuild.domain.ids import Place
from sqlbuild.domain.nodes import AuditValue, Severity
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.project.sql_text import end_of_comment, end_of_quoted
from sqlbuild.refs import CALLS, Reference
from sqlbuild.sql.rendering import quote_identifier
from sqlbuild.sql.tokens import RESERVED_WORDS

_INTERESTING = pattern(
    r"""(?P<comment>/\*)|(?P<line_comment>--[^\n]*+)|@'(?P<quoted>[A-Za-z_]\w*+)'|(?<![@\w])@(?!(?:py|sql)\.)(?P<plain>[A-Za-z_]\w*+)"""
    r"""|(?P<quote>['"$])"""
)
_INSIDE_QUOTES = pattern(r"(?<!@)@(?P<plain>[A-Za-z_]\w*+)")
_IDENTIFIER = pattern(r"[A-Za-z_]\w*")
_INTERPOLATED = frozenset({"enum", "const"})
"""`@enum(...)` and `@const(...)` are no parameters."""


@record(frozen=True, slots=True, kw_only=True)
class GenericAudit:
    """One definition; `sql` is everything behind its header."""

    name: str
    sql: str
    place: Place
    """Where `sql` begins; without a path it is built in."""
    severity: Severity | None = None
    description: str = ""
    sql_analysis: bool = True


_NOT_NULL = "SELECT * FROM @relation WHERE @column IS NULL"
_UNIQUE = """
SELECT @column, count(*) AS times FROM @relation WHERE @column IS NOT NULL GROUP BY @column HAVING count(*) > 1
"""
_ACCEPTED_VALUES = "SELECT * FROM @relation WHERE @column IS NOT NULL AND @column NOT IN (@'values')"
_RELATIONSHIPS = """
SELECT child.* FROM @relation AS child
WHERE child.@column IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM @to AS parent WHERE parent.@field = child.@column)
"""
BUILT_IN: Mapping[str, GenericAudit] = {
    name: GenericAudit(name=name, sql=sql.strip(), place=Place("", 1, 1))
    for name, sql in (
        ("not_null", _NOT_NULL),
        ("unique", _UNIQUE),
        ("accepted_values", _ACCEPTED_VALUES),
        ("relationships", _RELATIONSHIPS),
    )
}


class ColumnName(str):
    """The name of a declared column, as a value: it is quoted where it stands as an identifier."""

    __slots__ = ()


def filled_in(template: str, values: Mapping[str, AuditValue], read: Callable[[str], None]) -> tuple[str, list[str]]:
    """`template` with values in place of its parameters, and the names of parameters that have none.

    `read` is told each name that was found. In quotes only what has a value is a parameter, in comments nothing is.
    Raises Unclosed.
    """
    parts: list[str] = []
    missing: dict[str, None] = {}
    position = 0
    while found := _INTERESTING.search(template, position):
        parts.append(template[position : found.start()])
        name = found["plain"] or found["quoted"]
        if name is not None:
            if name in _INTERPOLATED:
                parts.append(found.group())
            elif name in values:
                read(name)
                parts.append((quoted_value if found["quoted"] else plain_value)(values[name]))
            else:
                missing[name] = None
            position = found.end()
            continue
        match found.lastgroup:
            case "comment":
                position = end_of_comment(template, found.start())
                parts.append(template[found.start() : position])
            case "line_comment":
                position = found.end()
                parts.append(found.group())
            case _:
                position = end_of_quoted(template, found.start())
                parts.append(_in_quotes(template[found.start() : position], values, read))
    parts.append(template[position:])
    return "".join(parts), list(missing)


def _in_quotes(text: str, values: Mapping[str, AuditValue], read: Callable[[str], None]) -> str:
    def value(found: re.Match[str]) -> str:
        if found["plain"] not in values:
            return found.group()
        read(found["plain"])
        quote = text[0]
        given = values[found["plain"]]
        plain = given if isinstance(given, str) else plain_value(given)
        return plain.replace(quote, quote * 2) if quote in "'\"" else plain

    return _INSIDE_QUOTES.sub(value, text) if "@" in text else text


def plain_value(value: AuditValue) -> str:
    """A value as SQL: texts are SQL themselves."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case ColumnName():
            return quote_identifier(value)
        case str():
            return value
        case int() | float():
            return str(value)
        case Reference():
            return f'{CALLS[value.kind]}("{value.name}")'
        case _:
            return ", ".join(map(plain_value, value))


def quoted_value(value: AuditValue) -> str:
    """The same with texts as strings."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return ", ".join(map(quoted_value, value)) if isinstance(value, tuple) else plain_value(value)


def as_column(text: str) -> str:
    """What an author wrote for a column, as SQL: in quotes if it could be nothing else than a name that needs them."""
    if _IDENTIFIER.fullmatch(text):
        return quote_identifier(text) if text.lower() in RESERVED_WORDS else text
    return text
