"""YAML with places: duplicate keys are refused and only `true` and `false` are booleans.

Plain values are read by the core schema of YAML 1.2: dates, `yes`, `no`, `on` and `off` are text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import yaml

from sqlbuild.domain.pattern import pattern
from sqlbuild.errors import Problem, Rebuilt
from sqlbuild.project.field_reader import is_finite
from sqlbuild.project.located import Located
from sqlbuild.project.text_file import TextFile

MAX_DEPTH = 100
MAX_VALUES = 1_000_000

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTANTS = {"true": True, "false": False, "null": None, "~": None, "": None}
_WHOLE = pattern(r"[-+]?[0-9]{1,4000}")
_OCTAL_OR_HEX = pattern(r"0o[0-7]{1,4000}|0x[0-9a-fA-F]{1,3000}")
_NUMBER = pattern(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_STANDARD = "tag:yaml.org,2002:"


class _Wrong(Rebuilt):
    def __init__(self, offset: int, message: str, help: str, code: str = "YAML_SYNTAX") -> None:
        super().__init__(message)
        self.offset = offset
        self.help = help
        self.code = code


def read_yaml(file: TextFile, problems: list[Problem]) -> Located | None:
    """The one document of `file`; None if it is empty or no YAML, which is a problem."""
    try:
        return _Document(file, problems).read()
    except _Wrong as wrong:
        problems.append(file.problem(wrong.code, str(wrong), wrong.help, wrong.offset))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = min(mark.index, len(file.text)) if mark else None
        problems.append(file.problem("YAML_SYNTAX", f"this is no YAML: {error.problem}", "correct the syntax", where))
    except yaml.reader.ReaderError as error:
        where = next((index for index, letter in enumerate(file.text) if ord(letter) == error.character), None)
        problems.append(file.problem("YAML_SYNTAX", f"this is no YAML: {error.reason}", "remove the character", where))
    return None


class _Document:
    """Builds values from parse events, with open tables and lists on a stack of its own: no depth overflows."""

    def __init__(self, file: TextFile, problems: list[Problem]) -> None:
        self.file = file
        self.problems = problems
        self.anchors: dict[str, Located] = {}
        self.sizes: dict[str, int] = {}
        self.values = 0

    def read(self) -> Located | None:
        events = cast("Iterator[Any]", yaml.parse(self.file.text, _Loader))
        root: Located | None = None
        stack: list[_Open] = []
        for event in events:
            start: int = event.start_mark.index
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise _Wrong(start, "a second document begins here", "keep one document in a file")
            if isinstance(event, yaml.CollectionStartEvent):
                self.open(event, stack)
                continue
            value = self.completed(event, stack)
            if value is None:
                continue
            if stack:
                stack[-1].take(value, self.problems)
            else:
                root = value
        return None if root is None or (root.value is None and not self.file.text.strip()) else root

    def open(self, event: Any, stack: list[_Open]) -> None:
        is_table = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", _STANDARD + ("map" if is_table else "seq")):
            raise _Wrong(event.start_mark.index, f"the tag {event.tag} is not known", "write the value without a tag")
        if len(stack) >= MAX_DEPTH:
            raise _Wrong(event.start_mark.index, f"values are nested more than {MAX_DEPTH} deep", "nest less")
        stack.append(_Open(self.file, event.start_mark.index, event.anchor, is_table=is_table, size=self.values))

    def completed(self, event: Any, stack: list[_Open]) -> Located | None:
        """The value that ends with `event`, if one does."""
        start: int = event.start_mark.index
        anchor: str | None = None
        if isinstance(event, yaml.ScalarEvent):
            self.values += 1
            value, size, anchor = Located(_scalar(event), self.file, start), 1, event.anchor
        elif isinstance(event, yaml.CollectionEndEvent):
            done = stack.pop()
            value, size, anchor = done.finished(), self.values - done.size + 1, done.anchor
            self.values += 1
        elif isinstance(event, yaml.AliasEvent):
            known = self.anchors.get(event.anchor or "")
            if known is None:
                raise _Wrong(start, f"the anchor &{event.anchor} is not known here", "define it above")
            value, size = Located(known.value, self.file, start), self.sizes[event.anchor or ""]
            self.values += size
        else:
            return None
        if self.values > MAX_VALUES:
            raise _Wrong(0, f"the file holds more than {MAX_VALUES:,} values", "split it, or use fewer aliases")
        if anchor is not None:
            self.anchors[anchor], self.sizes[anchor] = value, size
        return value


class _Open:
    """A table or list that is being read."""

    __slots__ = ("anchor", "file", "is_table", "key", "list", "merged", "offset", "size", "table")

    def __init__(self, file: TextFile, offset: int, anchor: str | None, *, is_table: bool, size: int) -> None:
        self.file = file
        self.offset = offset
        self.anchor = anchor
        self.is_table = is_table
        self.size = size
        self.key: Located | None = None
        self.table: dict[str, Located] = {}
        self.merged: dict[str, Located] = {}
        self.list: list[Located] = []

    def take(self, value: Located, problems: list[Problem]) -> None:
        if not self.is_table:
            self.list.append(value)
        elif self.key is None:
            self.key = value
        else:
            key, self.key = self.key, None
            if key.value == "<<":
                self.merge(value)
            else:
                self.add(key, value, problems)

    def add(self, key: Located, value: Located, problems: list[Problem]) -> None:
        if not isinstance(key.value, str):
            problems.append(
                key.problem("WRONG_TYPE", "this key is not text", "write the key in quotes, for example '1'")
            )
            return
        first = self.table.get(key.value)
        if first is not None:
            line, _ = self.file.line_and_column(first.key_offset or 0)
            problems.append(
                key.problem("DUPLICATE_KEY", f"`{key.value}` stands twice, first on line {line}", "keep one of the two")
            )
            return
        self.table[key.value] = Located(value.value, self.file, value.offset, key.offset)

    def merge(self, value: Located) -> None:
        tables = value.value if isinstance(value.value, tuple) else (value,)
        for table in tables:
            if not isinstance(table.value, dict):
                raise _Wrong(value.offset or 0, "<< takes a table or a list of tables", "write << : *anchor")
            self.merged = {**table.value, **self.merged}

    def finished(self) -> Located:
        if not self.is_table:
            return Located(tuple(self.list), self.file, self.offset)
        return Located({**self.merged, **self.table}, self.file, self.offset)


def _scalar(event: Any) -> object:
    text: str = event.value
    if event.tag == _STANDARD + "str" or (event.tag is None and not event.implicit[0]) or event.tag == "!":
        return text
    if event.tag is not None:
        raise _Wrong(event.start_mark.index, f"the tag {event.tag} is not known", "write the value without a tag")
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _OCTAL_OR_HEX.fullmatch(text):
        return int(text, 0)
    if _NUMBER.fullmatch(text) and is_finite(float(text)):
        return float(text)
    return text
