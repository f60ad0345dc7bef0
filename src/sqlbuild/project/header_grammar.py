"""The grammar of `MODEL ( ... );` headers.

    header = "(" entries ")" ";"
    entries = [key value {"," key value} [","]]
    value  = word | number | true | false | null | string | "(" entries ")" | "[" [value {"," value} [","]] "]"
           | word "(" arguments ")"
    arguments = as entries, but a value may stand without a key

In a FUNCTION header `arguments` is a table of types, and `returns` is a type or `table` and a table of types.

Strings are "...", '...' or three double quotes on each side. The value of a key `type` is SQL and goes up to the next
comma or closing bracket, and so does what stands in a list `columns` or `include` of `indexes`. SQL comments may stand
wherever blanks may.
"""

from __future__ import annotations

import math
import re

from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.errors import Problem, Rebuilt
from sqlbuild.project.located import Call, Located
from sqlbuild.project.sql_text import Unclosed, end_of_quoted, skip_blank
from sqlbuild.project.text_file import TextFile

MAX_DEPTH = 60

_WORD = pattern(r"""(?:(?!--|/\*)[^\s()\[\],;"'])+""")
_WHOLE = pattern(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = pattern(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_DOUBLE_QUOTED = pattern(r'"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_PROSE_QUOTED = pattern(r'"([^"]*+)"')
_SINGLE_QUOTED = pattern(r"'((?:[^'\\]++|\\.|'')*+)'", re.DOTALL)
_ESCAPED = pattern(r"""\\(["'\\])""")
_ESCAPED_SINGLE = pattern(r"""\\(["'\\])|'(')""")
_PROSE_ESCAPED = pattern(r"[\\'](')")
_TRIPLE_END = pattern(r'"""(?:""(?!")|"(?!"))?')
_BLANKS = pattern(r"\s+")
_RAW_STOP = pattern(r"""[()\[\],;"'$]|--|/\*""")
_END_OF_HEADER = (pattern(r"^[ \t]*\)[ \t]*;", re.MULTILINE), pattern(r"\)\s*;"))
_TABLE = pattern(r"table(?=\s*+\()", re.IGNORECASE)
_CONSTANTS = {"true": True, "false": False, "null": None}
_PAIRS = {"(": ")", "[": "]"}
_SQL_LISTS = {"indexes": frozenset({"columns", "include"})}
"""Key of a header -> keys somewhere below it whose lists hold SQL."""


@record(frozen=True, slots=True, kw_only=True)
class Header:
    """The entries of a header as one table, and the offset behind its final semicolon; None if that is not found."""

    entries: Located
    end: int | None


class _Wrong(Rebuilt):
    def __init__(self, offset: int, message: str, help: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.help = help


def parse_header(
    file: TextFile, start: int, problems: list[Problem], *, of_types: frozenset[str] = frozenset()
) -> Header:
    """The header whose opening bracket stands at `start`.

    The first syntax error ends the header: it is a problem, what was read before it is kept, and the header is taken
    to end at the next line `);`, else at the next `);`. Values of the keys `of_types`, or those in their tables, are
    types as SQL writes them.
    """
    parser = _Parser(file, problems, of_types)
    entries: dict[str, Located] = {}
    try:
        end = skip_blank(file.text, parser.entries(start, entries, depth=0))
        if file.text.startswith(";", end):
            return Header(entries=Located(entries, file, start), end=end + 1)
        problems.append(file.problem("HEADER_SYNTAX", "a semicolon must follow the header", "write `);`", end))
        return Header(entries=Located(entries, file, start), end=end)
    except (_Wrong, Unclosed) as error:
        problems.append(file.problem("HEADER_SYNTAX", str(error), error.help, error.offset))
        closings = (pattern.search(file.text, start) for pattern in _END_OF_HEADER)
        recovered = next((closing.end() for closing in closings if closing), None)
        return Header(entries=Located(entries, file, start), end=recovered)


class _Parser:
    """Each method takes the offset where something begins and returns the offset behind it, or also its value."""

    __slots__ = ("file", "of_types", "problems", "sql_lists", "text", "typed")

    def __init__(self, file: TextFile, problems: list[Problem], of_types: frozenset[str]) -> None:
        self.file = file
        self.sql_lists: frozenset[str] = frozenset()
        self.of_types = of_types
        self.typed = False
        """Inside of one of `of_types`."""
        self.text = file.text
        self.problems = problems

    def entries(
        self, start: int, found: dict[str, Located], *, depth: int, arguments: list[Located] | None = None
    ) -> int:
        """`( ... )`: keys go to `found`, values without a key to `arguments`; without `arguments` they are wrong."""
        text = self.text
        self.check_depth(start, depth)
        position = skip_blank(text, start + 1)
        while (here := text[position : position + 1]) != ")":
            if not here:
                raise _Wrong(start, "this ( is never closed", "close it with )")
            if here == ",":
                raise _Wrong(position, "a key and a value must stand before this comma", "remove the comma")
            if arguments is None or self.is_key(position):
                position = self.entry(position, found, depth=depth)
            else:
                position = self.argument(position, arguments, found, depth=depth)
            position = self.separator(position, start, ")")
        return position + 1

    def entry(self, start: int, found: dict[str, Located], *, depth: int) -> int:
        key, position = self.key(start)
        position = skip_blank(self.text, position)
        if self.text[position : position + 1] in ("", ",", ")", ";", "]"):
            raise _Wrong(start, f"`{key}` has no value", f"write `{key}`, a blank and its value")
        if depth == 0:
            self.sql_lists = _SQL_LISTS.get(key, frozenset())
            self.typed = key in self.of_types
        value, position = self.value(position, depth=depth + 1, key=key, key_offset=start)
        self.keep(found, key, value)
        return position

    def argument(self, start: int, arguments: list[Located], found: dict[str, Located], *, depth: int) -> int:
        """A value without a key; but a word before brackets that hold only keys is a key with a table."""
        argument, position = self.value(start, depth=depth + 1)
        call = argument.value
        if isinstance(call, Call) and not call.arguments:
            self.keep(found, call.name, Located(call.options, self.file, start, start))
        else:
            arguments.append(argument)
        return position

    def keep(self, found: dict[str, Located], key: str, value: Located) -> None:
        first = found.setdefault(key, value)
        if first is not value:
            line, _ = self.file.line_and_column(first.key_offset or 0)
            self.problems.append(
                value.problem(
                    "DUPLICATE_KEY", f"`{key}` stands twice, first on line {line}", "keep one of the two", at_key=True
                )
            )

    def is_key(self, position: int) -> bool:
        """Whether a word or string stands at `position` that is followed by a value and is no call."""
        here = self.text[position]
        if here in "([":
            return False
        _, end = self.key(position)
        end = skip_blank(self.text, end)
        return self.text[end : end + 1] not in ("", ",", ")", ";") and (here in "\"'" or self.text[end] != "(")

    def key(self, position: int) -> tuple[str, int]:
        if self.text[position] in "\"'":
            return self.string(position, prose=False)
        word = _WORD.match(self.text, position)
        if word is None:
            shown = self.text[position]
            raise _Wrong(
                position, f"a key is expected here, not `{shown}`", "write `key value` pairs, with commas between"
            )
        return word.group(), word.end()

    def value(
        self, position: int, *, depth: int, key: str | None = None, key_offset: int | None = None
    ) -> tuple[Located, int]:
        text, here = self.text, self.text[position]
        value: object
        if here in "\"'":
            value, end = self.string(position, prose=key == "description")
        elif here == "(":
            value = {}
            end = self.entries(position, value, depth=depth)
        elif here == "[":
            value, end = self.list(position, depth=depth, of_sql=key in self.sql_lists)
        elif self.typed and key is not None and (table := _TABLE.match(text, position)):
            value = {}
            end = self.entries(skip_blank(text, table.end()), value, depth=depth)
        elif key == "type" or (self.typed and key is not None):
            value, end = self.raw(position)
        else:
            word = _WORD.match(text, position)
            if word is None:
                raise _Wrong(position, f"a value is expected here, not `{here}`", "write a value or remove the key")
            end = word.end()
            value = self.scalar(word.group(), position)
            following = skip_blank(text, end)
            if text.startswith("(", following):
                options: dict[str, Located] = {}
                arguments: list[Located] = []
                end = self.entries(following, options, depth=depth, arguments=arguments)
                value = Call(word.group(), tuple(arguments), options)
        return Located(value, self.file, position, key_offset), end

    def list(self, start: int, *, depth: int, of_sql: bool = False) -> tuple[tuple[Located, ...], int]:
        self.check_depth(start, depth)
        found: list[Located] = []
        position = skip_blank(self.text, start + 1)
        while (here := self.text[position : position + 1]) != "]":
            if not here:
                raise _Wrong(start, "this [ is never closed", "close it with ]")
            if of_sql:
                text, end = self.raw(position)
                if not text:
                    raise _Wrong(position, f"a value is expected here, not `{here}`", "write a name or an expression")
                value, position = Located(text, self.file, position), end
            else:
                value, position = self.value(position, depth=depth + 1)
            found.append(value)
            position = self.separator(position, start, "]")
        return tuple(found), position + 1

    def separator(self, end: int, opening: int, closing: str) -> int:
        """What follows a value that ended at `end`: a comma, which is skipped, or the closing bracket."""
        position = skip_blank(self.text, end)
        here = self.text[position : position + 1]
        if here == ",":
            return skip_blank(self.text, position + 1)
        if here == closing:
            return position
        if not here or here == ";":
            raise _Wrong(opening, f"this {self.text[opening]} is never closed", f"close it with {closing}")
        if position == end and self.text[end - 1] == '"':
            raise _Wrong(
                end - 1,
                'a double quote ends this "..." string early',
                'use """...""" for text that contains double quotes',
            )
        if here in ")]":
            raise _Wrong(position, f"this {here} closes nothing", f"the bracket that is open is {self.text[opening]}")
        raise _Wrong(
            position, f"a comma or {closing} is expected here, not `{self.shown(position)}`", "put a comma before it"
        )

    def shown(self, position: int) -> str:
        word = _WORD.match(self.text, position)
        return word.group()[:40] if word else self.text[position]

    def string(self, start: int, *, prose: bool) -> tuple[str, int]:
        """A quoted text. In prose a backslash is an ordinary character, except before ' inside '...'."""
        text = self.text
        if text.startswith('"""', start):
            end = _TRIPLE_END.search(text, start + 3)
            if end is None:
                raise _Wrong(start, 'this """ is never closed', 'close it with """')
            return text[start + 3 : end.end() - 3], end.end()
        if text[start] == '"':
            found = (_PROSE_QUOTED if prose else _DOUBLE_QUOTED).match(text, start)
            escaped = None if prose else _ESCAPED
        else:
            found = _SINGLE_QUOTED.match(text, start)
            escaped = _PROSE_ESCAPED if prose else _ESCAPED_SINGLE
        if found is None:
            raise _Wrong(start, "this string is never closed", f"close it with {text[start]}")
        value = found.group(1)
        if escaped is not None and ("\\" in value or "'" in value):
            value = escaped.sub(lambda pair: pair.group(pair.lastindex or 0), value)
        return value, found.end()

    def scalar(self, word: str, position: int) -> object:
        if word in _CONSTANTS:
            return _CONSTANTS[word]
        if word[0] not in "-0123456789" or not _NUMBER.fullmatch(word):
            return word
        if len(word) > 300 or not math.isfinite(float(word)):
            raise _Wrong(position, "this number is too large", "write it as text, in quotes")
        return int(word) if _WHOLE.fullmatch(word) else float(word)

    def raw(self, start: int) -> tuple[str, int]:
        """SQL up to the next comma or closing bracket outside of brackets and quotes, blanks outside of quotes as one."""
        text, position = self.text, start
        pieces: list[str] = []
        plain = ""
        open_brackets: list[int] = []
        while stop := _RAW_STOP.search(text, position):
            plain += text[position : stop.start()]
            position, here = stop.start(), stop.group()
            if here in ("--", "/*"):
                plain += " "
                position = skip_blank(text, position)
                continue
            if here == ";" or (not open_brackets and here in (",", ")", "]")):
                break
            end = end_of_quoted(text, position) if here in "\"'$" else position + 1
            if here in "([":
                open_brackets.append(position)
            elif here in ")]" and _PAIRS[text[open_brackets.pop()]] != here:
                raise _Wrong(position, f"this {here} closes nothing", "balance the brackets of the type")
            if here in "\"'$":
                pieces += [_BLANKS.sub(" ", plain), text[position:end]]
                plain = ""
            else:
                plain += here
            position = end
        else:
            position = len(text)
        if open_brackets:
            raise _Wrong(
                open_brackets[-1], f"this {text[open_brackets[-1]]} is never closed", "balance the brackets of the type"
            )
        return "".join((*pieces, _BLANKS.sub(" ", plain))).strip(), position

    def check_depth(self, position: int, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _Wrong(position, f"brackets are nested more than {MAX_DEPTH} deep", "nest less")
