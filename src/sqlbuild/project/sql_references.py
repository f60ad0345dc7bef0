"""Finds the end of a query and the `__ref("x")`, `__source("x")`, `__seed("x")`, `__udf("x")` and `__table_fn("x")` calls in
it, and expands its macros."""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Sequence

from sqlbuild.domain.ids import Place
from sqlbuild.domain.incremental import Bound, CursorCall
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.domain.source_map import Expansion
from sqlbuild.domain.sql_reference import SqlReference
from sqlbuild.errors import Problem
from sqlbuild.project.macro_arguments import WHAT_IS_ALLOWED, WrongArguments, read_arguments
from sqlbuild.project.macros import Macro, Macros, UnreadableMacros, WrongMacro
from sqlbuild.project.sql_text import Unclosed, end_of_comment, end_of_quoted, skip_blank
from sqlbuild.project.sql_variables import WrongVariable
from sqlbuild.project.text_file import TextFile
from sqlbuild.refs import Reference, ReferenceKind, SqlResourceRef

_KINDS: dict[str, ReferenceKind] = {
    "__ref": "model",
    "__source": "source",
    "__seed": "seed",
    "__udf": "function",
    "__table_fn": "function",
}
_FUNCTIONS = frozenset({"__udf", "__table_fn"})

# The first character stands before the alternatives, so that the search goes quickly over whatever is none of them.
_INTERESTING = pattern(
    r"""['"$\-/;{_@](?:(?P<quote>(?<=['"$]))|(?P<line_comment>(?<=-)-[^\n]*+)|(?P<comment>(?<=/)\*)|(?P<semicolon>(?<=;))"""
    r"""|(?P<jinja>(?<=\{)(?:%|\{-?\s*+(?:ref|source|config|var|this)\b))"""
    r"""|(?P<call>(?<=_)(?<![\w$]_)_[A-Za-z_]++)(?![\w$])"""
    r"""|(?P<at>(?<=@)(?:py\.|sql\.|enum\b|const\b|@++(?=[A-Za-z_]))))"""
)
_NAME = pattern(r'\("([^"\n]+)"\)')
_VISIBLE = pattern(r"\S")
_BLANKS = r"(?:\s++|/\*[^*]*+\*++(?:[^/*][^*]*+\*++)*+/)*+"
_ARGUMENT = r"""(?:"[^"\n]*"|'[^'\n]*'|[\w.]+)"""
_LOOSE_CALL = pattern(rf"{_BLANKS}\({_BLANKS}(?:{_ARGUMENT}{_BLANKS}(?:,{_BLANKS}(?:{_ARGUMENT}{_BLANKS})?)*)?\)?")
_WRITTEN_NAME = pattern(r"[\w.]+")

_NO_ARGUMENTS = pattern(rf"{_BLANKS}\({_BLANKS}\)")
_BOUNDS = {"__cursor_start": Bound.START, "__cursor_end": Bound.END}

_UNSUPPORTED_CALLS = {
    "__dbt_ref": "references to dbt projects",
}
_UNSUPPORTED_AT = {
    "@py.": ("macros here", "write the SQL out"),
    "@sql.": ("SQL macros", "write a function in macros/python/ that returns the SQL, and call it as @py.name(...)"),
    "@enum": ("enums", "write the value out, or let a macro return it: @py.name()"),
    "@const": ("constants", "write the value out, or let a macro return it: @py.name()"),
    "@@": ("variables in SQL", 'let a macro return the value: its parameter `ctx` has ctx.vars["name"]'),
}
_MACRO = pattern(r"[^\W\d]\w*+(?=\s*+\()")


@record(frozen=True, slots=True, kw_only=True)
class Query:
    """One statement: its text without blank edges and final semicolon, from `start` of the file on."""

    sql: str
    """With its macros expanded."""
    start: int
    references: tuple[SqlReference, ...] = ()
    passed: tuple[SqlReference, ...] = ()
    """References that macros were given; they depend on these, wherever they stand in what the macros gave."""
    expansions: tuple[Expansion, ...] = ()
    cursor_calls: tuple[CursorCall, ...] = ()
    unreadable: bool = False
    """A macro stands in a file that cannot be imported, so its call is left as it is."""


@record(slots=True)
class _Scanned:
    """What was found in a text; offsets count from `zero`, those of expansions and of references in them are in the
    text that they give."""

    zero: int
    references: list[SqlReference] = dataclasses.field(default_factory=list)
    passed: list[SqlReference] = dataclasses.field(default_factory=list)
    expanded: list[_Expanded] = dataclasses.field(default_factory=list)
    cursor_calls: list[CursorCall] = dataclasses.field(default_factory=list)
    unreadable: bool = False


@record(frozen=True, slots=True, kw_only=True)
class _Expanded:
    """A macro call from `start` to `end`, and the text it became."""

    macro: Macro
    start: int
    end: int
    text: str
    references: tuple[SqlReference, ...]
    place: Place
    behind: Place


@record(frozen=True, slots=True)
class Visible:
    """The macros that SQL may call: those that can be seen from any of these files."""

    macros: Macros
    seen_from: tuple[str, ...]


class _NoMacros(enum.Enum):
    """In what a macro gave none are called."""

    HERE = enum.auto()


_NO_MACROS = _NoMacros.HERE


def read_query(file: TextFile, start: int, problems: list[Problem], macros: Visible | None = None) -> Query:
    """The one query that stands in `file` from `start` to the end; whatever is wrong with it is a problem.

    Its variables and macro calls become what `macros` gives for them; without any they are problems too.
    """
    if macros is not None:
        file = _with_variables(file, start, problems, macros.macros)
    text = file.text
    begin = _first_visible(text, start)
    scanned = _Scanned(begin)
    try:
        query_start = skip_blank(text, start)
        end = _Scan(file, scanned, problems, macros).upto_semicolon(query_start)
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
    return _query(text[begin:end].rstrip(), begin, scanned)


def _with_variables(file: TextFile, start: int, problems: list[Problem], macros: Macros) -> TextFile:
    """The file with the values of `@@name` and `@@ENV:NAME` in its SQL, which begins at `start`."""

    def refuse(offset: int, wrong: WrongVariable) -> None:
        problems.append(file.problem("VARIABLE", str(wrong), wrong.help, start + offset))

    written = file.text[start:]
    replaced = macros.variables.replaced(written, refuse)
    return file if replaced == written else TextFile(file.path, file.text[:start] + replaced)


def _query(sql: str, begin: int, scanned: _Scanned) -> Query:
    """`sql` with the expansions put into it."""
    if not scanned.expanded:
        return Query(
            sql=sql,
            start=begin,
            references=tuple(scanned.references),
            passed=tuple(scanned.passed),
            cursor_calls=tuple(scanned.cursor_calls),
            unreadable=scanned.unreadable,
        )
    parts: list[str] = []
    expansions: list[Expansion] = []
    references: list[SqlReference] = []
    written = iter(scanned.references)
    reference = next(written, None)
    position = length = 0
    for found in scanned.expanded:
        while reference is not None and reference.start < found.start:
            references.append(_moved(reference, length - position))
            reference = next(written, None)
        length += found.start - position
        parts += (sql[position : found.start], found.text)
        references += [_moved(each, length) for each in found.references]
        expansions.append(
            Expansion(
                macro=found.macro.name,
                defined=found.macro.place,
                start=length,
                end=length + len(found.text),
                place=found.place,
                behind=found.behind,
            )
        )
        length += len(found.text)
        position = found.end
    while reference is not None:
        references.append(_moved(reference, length - position))
        reference = next(written, None)
    parts.append(sql[position:])
    return Query(
        sql="".join(parts),
        start=begin,
        references=tuple(references),
        passed=tuple(scanned.passed),
        expansions=tuple(expansions),
        cursor_calls=tuple(scanned.cursor_calls),
        unreadable=scanned.unreadable,
    )


def _moved(reference: SqlReference, by: int) -> SqlReference:
    return dataclasses.replace(reference, start=reference.start + by, end=reference.end + by)


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


class _MalformedReference(Exception):
    """Among the arguments of a macro."""


class _Scan:
    """Goes through the code of one text and keeps in `found` what it sees."""

    def __init__(
        self, file: TextFile, found: _Scanned, problems: list[Problem], macros: Visible | _NoMacros | None
    ) -> None:
        self.file = file
        self.found = found
        self.problems = problems
        self.macros = macros

    def upto_semicolon(self, start: int) -> int:
        """The offset of the first semicolon, or the end of the text; `start` stands outside of quotes and comments."""
        text, position = self.file.text, start
        while found := _INTERESTING.search(text, position):
            position = found.end()
            match found.lastgroup:
                case "quote":
                    position = end_of_quoted(text, found.start())
                case "comment":
                    position = end_of_comment(text, found.start())
                case "semicolon":
                    return found.start()
                case "call":
                    position = self.read_call(found)
                case "at":
                    position = self.read_at(found)
                case "jinja":
                    return _refuse_jinja(self.file, found, self.problems)
                case _:
                    pass
        return len(text)

    def read_call(self, found: re.Match[str]) -> int:
        word, position = found.group(), found.end()
        kind = _KINDS.get(word.lower())
        if kind is None:
            if word.lower() in _BOUNDS:
                return self.read_bound(found)
            if word.lower() in _UNSUPPORTED_CALLS:
                _refuse_unsupported(
                    self.file, found.start(), f"{word}()", _UNSUPPORTED_CALLS[word.lower()], self.problems
                )
            return position
        name = _NAME.match(self.file.text, position)
        if name is None or word not in _KINDS:
            return _refuse_malformed(self.file, found.start(), position, word, self.problems)
        reference = self.reference(Reference(kind, name.group(1)), found.start(), name.end())
        if word in _FUNCTIONS:
            reference = dataclasses.replace(reference, call=word)
        self.found.references.append(reference)
        return name.end()

    def read_bound(self, found: re.Match[str]) -> int:
        word, place = found.group().lower(), self.file.place(found.start())
        brackets = _NO_ARGUMENTS.match(self.file.text, found.end())
        if brackets is None:
            message, help = f"`{found.group()}` is not called rightly", f"write {word}(), without arguments"
            self.problems.append(self.file.problem("REFERENCE", message, help, found.start()))
            return found.end()
        self.found.cursor_calls.append(CursorCall(bound=_BOUNDS[word], place=place))
        return brackets.end()

    def reference(self, reference: Reference, start: int, end: int) -> SqlReference:
        zero = self.found.zero
        return SqlReference(reference=reference, start=start - zero, end=end - zero, place=self.file.place(start))

    def read_at(self, found: re.Match[str]) -> int:
        if found.group() == "@py." and self.macros is _NO_MACROS:
            message, help = "it calls a macro", "call that function in Python, as any other, and return its text"
            self.problems.append(self.file.problem("MACRO", message, help, found.start()))
            return found.end()
        if found.group() != "@py." or not isinstance(self.macros, Visible):
            what, help = _UNSUPPORTED_AT.get(found.group(), ("placeholders in SQL", "write the SQL out"))
            _refuse_unsupported(self.file, found.start(), found.group(), what, self.problems, help)
            return found.end()
        given = len(self.found.passed)
        try:
            returned, macro, end = self.called(found.start())
            self.keep_expansion(returned, macro, found.start(), end, self.found.passed[given:])
            return end
        except (UnreadableMacros, _MalformedReference):
            pass  # the one is told already, the other by what goes on behind `@py.`
        except WrongMacro as error:
            self.problems.append(self.file.problem(error.code, str(error), error.help, found.start()))
        except WrongArguments as error:
            self.problems.append(self.file.problem("MACRO_CALL", str(error), error.help, error.offset))
        self.found.unreadable = True
        return found.end()

    def called(self, start: int) -> tuple[object, Macro, int]:
        """What the macro call at `start` returns, the macro, and the offset behind the call."""
        name = _MACRO.match(self.file.text, start + len("@py."))
        if name is None:
            raise WrongMacro("MACRO_CALL", "no macro is called here", "write @py.name(...), brackets included")
        assert isinstance(self.macros, Visible)
        macro = self.macros.macros.find(name.group(), self.macros.seen_from)
        opening = self.file.text.index("(", name.end())
        arguments = read_arguments(self.file, opening, self.read_argument)
        returned = self.macros.macros.call(macro, arguments.positional, arguments.named)
        return returned, macro, arguments.end

    def read_argument(self, start: int) -> tuple[object, int]:
        """A call or reference that stands among the arguments of a macro."""
        text = self.file.text
        if text.startswith("@py.", start):
            returned, _, end = self.called(start)
            return returned, end
        found = _INTERESTING.search(text, start)
        kind = _KINDS.get(found.group().lower()) if found is not None and found.start() == start else None
        if kind is None or kind == "function" or found is None:
            shown = text[start : start + 40].split("(")[0]
            raise WrongArguments(start, f"`{shown}` is no value that a macro can be given", WHAT_IS_ALLOWED)
        name = _NAME.match(text, found.end()) if found.group() in _KINDS else None
        if name is None:
            raise _MalformedReference
        self.found.passed.append(self.reference(Reference(kind, name.group(1)), start, name.end()))
        return SqlResourceRef(kind, name.group(1)), name.end()

    def keep_expansion(
        self, returned: object, macro: Macro, start: int, end: int, given: Sequence[SqlReference]
    ) -> None:
        """Raises WrongMacro if what a macro returned cannot stand in SQL; `given` are the references it was given."""
        if not isinstance(returned, str):
            raise WrongMacro(
                "MACRO",
                f"the macro {macro.name} returned {_described(returned)}",
                f"a macro that stands in SQL returns its text; see {macro.place}",
            )
        inner = _Scanned(0)
        problems: list[Problem] = []
        place = self.file.place(start)
        try:
            stop = _Scan(TextFile(macro.place.path, returned), inner, problems, _NO_MACROS).upto_semicolon(0)
        except Unclosed as unclosed:
            raise WrongMacro(
                "MACRO",
                f"what the macro {macro.name} gives has a {_of(unclosed)}",
                f"{unclosed.help}; see {macro.place}",
            ) from unclosed
        if stop < len(returned):
            raise WrongMacro(
                "MACRO",
                f"what the macro {macro.name} gives has a semicolon",
                f"return one piece of SQL; see {macro.place}",
            )
        for problem in problems:
            message = f"what the macro {macro.name} ({macro.place}) gives: {problem.message}"
            self.problems.append(self.file.problem(problem.code, message, problem.help, start))
        self.found.cursor_calls += [dataclasses.replace(call, place=place) for call in inner.cursor_calls]
        places = {each.reference: each.place for each in given}
        text = f"{returned}\n" if _ends_in_comment(returned) else returned
        zero = self.found.zero
        self.found.expanded.append(
            _Expanded(
                macro=macro,
                start=start - zero,
                end=end - zero,
                text=text,
                references=tuple(
                    dataclasses.replace(each, place=places.get(each.reference, place)) for each in inner.references
                ),
                place=place,
                behind=self.file.place(end),
            )
        )


def _described(returned: object) -> str:
    return "None" if returned is None else f"an object of type {type(returned).__qualname__}, not a text"


def _of(unclosed: Unclosed) -> str:
    return str(unclosed).removeprefix("this ").replace(" is never closed", " that is never closed")


def _ends_in_comment(sql: str) -> bool:
    """Whether what stands behind it on the same line may be part of a comment."""
    last = sql.rpartition("\n")[2]
    return "--" in last


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


def _refuse_unsupported(
    file: TextFile,
    start: int,
    shown: str,
    what: str,
    problems: list[Problem],
    help: str = "write the SQL out in the query",
) -> None:
    problems.append(file.problem("UNSUPPORTED", f"`{shown}`: {what} are not supported yet", help, start))
