"""The arguments of a macro call: Python literals, references and further macro calls, up to the closing bracket."""

from __future__ import annotations

import ast
import re
import string
import warnings
from collections.abc import Callable, Mapping

from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.errors import Rebuilt
from sqlbuild.project.sql_text import Unclosed, end_of_comment
from sqlbuild.project.text_file import TextFile

MAX_DEPTH = 60
WHAT_IS_ALLOWED = 'arguments are Python values, with commas between: "text", 42, True, None, [1, 2], {"key": "value"}'

_STOP = pattern(
    r"""(?P<string>(?:(?<!\w)[A-Za-z]{1,2})?(?:\"{3}|'{3}|"|'))|(?P<open>[(\[{])|(?P<close>[)\]}])"""
    r"""|(?P<comment>--[^\n]*+|\#[^\n]*+|/\*)|(?P<comma>[,:])|(?P<inner>@++[A-Za-z]\w*+\.?|(?<![\w$])__[A-Za-z_]++(?=\s*\())"""
)
_STRINGS = {
    '"""': pattern(r'(?:[^"\\]++|\\.|"(?!""))*+"""', re.DOTALL),
    "'''": pattern(r"(?:[^'\\]++|\\.|'(?!''))*+'''", re.DOTALL),
    '"': pattern(r'(?:[^"\\\n]++|\\.)*+"', re.DOTALL),
    "'": pattern(r"(?:[^'\\\n]++|\\.)*+'", re.DOTALL),
}
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_VISIBLE = pattern(r"[^\n]")
_PREFIX = "_("

ReadInner = Callable[[int], tuple[object, int]]
"""Takes the offset of a call or reference inside of the arguments; gives its value, and the offset behind it."""


class WrongArguments(Rebuilt):
    """`offset` is where in the file."""

    def __init__(self, offset: int, message: str, help: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.help = help


@record(frozen=True, slots=True, kw_only=True)
class Arguments:
    """`end` is the offset behind the closing bracket."""

    positional: tuple[object, ...]
    named: Mapping[str, object]
    end: int


def read_arguments(file: TextFile, start: int, read_inner: ReadInner) -> Arguments:
    """The arguments whose opening bracket stands at `start`. Raises WrongArguments, and what `read_inner` raises."""
    text = file.text
    inner: dict[int, object] = {}
    python: list[str] = [_PREFIX]
    brackets = [start]
    position = start + 1
    after_string = False
    while True:
        found = _STOP.search(text, position)
        between = text[position : found.start()] if found else text[position:]
        python.append(between)
        if not found or ";" in between:
            raise WrongArguments(brackets[-1], f"this {text[brackets[-1]]} is never closed", "close it")
        if between.strip():
            after_string = False
        position = found.end()
        match found.lastgroup:
            case "string":
                if after_string:
                    raise WrongArguments(found.start(), "a comma is missing before this text", "write a comma")
                position = _end_of_string(text, found)
                python.append(text[found.start() : position])
                after_string = True
                continue
            case "comment":
                if found.group() == "/*":
                    position = _end_of_comment(text, found.start())
                python.append(_VISIBLE.sub(" ", text[found.start() : position]))
                continue
            case "inner":
                # As many characters, so that what Python says of places is right.
                value, position = read_inner(found.start())
                inner[found.start()] = value
                python.append("_" + _VISIBLE.sub(" ", text[found.start() + 1 : position]))
            case "open":
                brackets.append(found.start())
                if len(brackets) > MAX_DEPTH:
                    raise WrongArguments(
                        found.start(), f"brackets are nested more than {MAX_DEPTH} deep", "build the value in the macro"
                    )
                python.append(found.group())
            case "close":
                opening = brackets.pop()
                if _CLOSING[text[opening]] != found.group():
                    raise WrongArguments(
                        found.start(),
                        f"this {found.group()} closes nothing",
                        f"the bracket that is open is {text[opening]}",
                    )
                python.append(found.group())
                if not brackets:
                    return _evaluated("".join(python), start, inner, position)
            case _:
                python.append(found.group())
        after_string = False


def _end_of_string(text: str, found: re.Match[str]) -> int:
    end = _STRINGS[found.group().lstrip(string.ascii_letters)].match(text, found.end())
    if end is None:
        raise WrongArguments(
            found.start(), "this text is never closed", "texts stand in quotes on one line, or in three"
        )
    return end.end()


def _end_of_comment(text: str, start: int) -> int:
    try:
        return end_of_comment(text, start)
    except Unclosed as unclosed:
        raise WrongArguments(start, str(unclosed), unclosed.help) from unclosed


def _evaluated(python: str, start: int, inner: Mapping[int, object], end: int) -> Arguments:
    values = _Values(python, start, inner)
    try:
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            call = ast.parse(python, mode="eval").body
    except SyntaxError as error:
        # A name that is repeated has no place.
        offset = values.offset(error.lineno, error.offset - 1) if error.lineno and error.offset else start
        raise WrongArguments(offset, f"the arguments cannot be read: {error.msg}", WHAT_IS_ALLOWED) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise WrongArguments(start, f"the arguments cannot be read: {error}", WHAT_IS_ALLOWED) from error
    if not isinstance(call, ast.Call):
        raise WrongArguments(start, "the arguments cannot be read", WHAT_IS_ALLOWED)
    positional = tuple([values.of(node) for node in call.args])
    named: dict[str, object] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise WrongArguments(values.place(keyword.value), "`**` is not understood here", "write the arguments out")
        if keyword.arg in named:
            raise WrongArguments(values.place(keyword.value), f"`{keyword.arg}` is given twice", "keep one of the two")
        named[keyword.arg] = values.of(keyword.value)
    return Arguments(positional=positional, named=named, end=end)


_SQL_WORDS = {"true": "True", "false": "False", "null": "None"}


class _Values:
    """The values of syntax nodes; `start` is the offset of the opening bracket in the file."""

    def __init__(self, python: str, start: int, inner: Mapping[int, object]) -> None:
        self._lines = python.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._start = start + 1 - len(_PREFIX)
        self._inner = inner

    def offset(self, line: int, column: int) -> int:
        """In the file, of a line of the Python text and a column in characters, from 0."""
        return max(self._start + self._starts[min(line, len(self._lines)) - 1] + column, 0)

    def place(self, node: ast.expr) -> int:
        before = self._lines[node.lineno - 1].encode(errors="surrogatepass")[: node.col_offset]
        return self.offset(node.lineno, len(before.decode(errors="surrogatepass")))

    def of(self, node: ast.expr) -> object:
        match node:
            case ast.Name() if (place := self.place(node)) in self._inner:
                return self._inner[place]
            case ast.Constant(value=str(text)):
                return self._text(text, node)
            case ast.Constant(value=None | bool() | int() | float() as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)) if not isinstance(
                number, bool
            ):
                return -number
            case ast.UnaryOp(op=ast.UAdd(), operand=ast.Constant(value=int() | float() as number)):
                return +number
            case ast.List(elts=elements):
                return [self.of(each) for each in elements]
            case ast.Tuple(elts=elements):
                return tuple([self.of(each) for each in elements])
            case ast.Dict(keys=keys, values=values) if None not in keys:
                return {self._key(key): self.of(value) for key, value in zip(keys, values, strict=True) if key}
        raise self._wrong(node)

    def _text(self, text: str, node: ast.expr) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise WrongArguments(
                self.place(node), "this text has half of a surrogate pair", 'write the whole character: "\\U0001F600"'
            ) from None
        return text

    def _key(self, node: ast.expr) -> object:
        key = self.of(node)
        try:
            hash(key)
        except TypeError:
            raise WrongArguments(self.place(node), "this cannot be a key of a dictionary", "use a text") from None
        return key

    def _wrong(self, node: ast.expr) -> WrongArguments:
        place = self.place(node)
        shown = " ".join(ast.unparse(node).split())
        shown = shown if len(shown) <= 40 else shown[:37] + "..."
        if isinstance(node, ast.Name) and node.id.lower() in _SQL_WORDS:
            return WrongArguments(place, f"`{shown}` is no value here", f"write {_SQL_WORDS[node.id.lower()]}")
        if isinstance(node, ast.Name | ast.Attribute | ast.BinOp | ast.Call | ast.Compare | ast.BoolOp | ast.Subscript):
            return WrongArguments(
                place, f"`{shown}` is no value: SQL is given to a macro as text", f'put it in quotes: "{shown}"'
            )
        return WrongArguments(place, f"`{shown}` is no value that a macro can be given", WHAT_IS_ALLOWED)
