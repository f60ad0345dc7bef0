"""Values of settings, headers and YAML files together with the place they were written at."""

from __future__ import annotations

from collections.abc import Mapping

from sqlbuild.domain.record import record
from sqlbuild.errors import Problem
from sqlbuild.project.text_file import TextFile


@record(frozen=True, slots=True)
class Located:
    """One value: text, a number, true, false, null, a tuple of values, a table of values or a `Call`.

    `offset` is where the value stands in `file` and `key_offset` where its key does; None where it is not known.
    """

    value: object
    file: TextFile
    offset: int | None = None
    key_offset: int | None = None

    @property
    def table(self) -> Mapping[str, Located]:
        """The entries of a table; empty for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    def problem(self, code: str, message: str, help: str, *, at_key: bool = False, severity: str = "error") -> Problem:
        offset = self.key_offset if at_key and self.key_offset is not None else self.offset
        return self.file.problem(code, message, help, offset, severity=severity)


@record(frozen=True, slots=True)
class Call:
    """`name ("x", key value)` as a value: a word with arguments, by position and by key."""

    name: str
    arguments: tuple[Located, ...]
    options: Mapping[str, Located]


def describe(value: object) -> str:
    """A value as it is named in a message: `text "abc"`, `the number 5`, `a list`."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return f'text "{value}"' if len(value) <= 40 else f"a text of {len(value)} characters"
        case int() | float():
            return "a number" if abs(value) >= 10**30 else f"the number {value}"
        case list() | tuple():
            return "a list"
        case dict():
            return "a table"
        case Call():
            return f"the call {value.name}(...)"
        case _:
            return "a date or time"


def plain(located: Located) -> object:
    """The bare value: dicts, lists and scalars. A call becomes its name and what stands in its brackets."""
    value = located.value
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, Call):
        options = {key: plain(entry) for key, entry in value.options.items()}
        return {value.name: [*map(plain, value.arguments), options] if options else [*map(plain, value.arguments)]}
    return value


def located(value: object, file: TextFile) -> Located:
    """A bare value as one without a place."""
    if isinstance(value, Mapping):
        return Located({str(key): located(entry, file) for key, entry in value.items()}, file)
    if isinstance(value, list | tuple):
        return Located(tuple(located(entry, file) for entry in value), file)
    return Located(value, file)
