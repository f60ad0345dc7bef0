"""The lines of a node's log. Pure.

    2026-11-22T18:09:31.123Z info     pushed an order[TAB]order_id=17 status="not found"
    2026-11-22T18:09:31.150Z error    could not push it
      Traceback (most recent call last):
        ...

A message starts with its time in UTC and its level; its further lines are indented by two spaces, so that none of them
can look like another message. Fields follow the message's first line after a tab, as `name=value`: plain words and
numbers as they are, everything else as JSON. A first line that has a tab of its own ends in one more.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlbuild.domain.pattern import pattern

_HEAD = pattern(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (\S+) *(?: (.*))?\Z", re.DOTALL)
_PLAIN = pattern(r"[A-Za-z_/.:@+-][\w/.:@+%-]*")
_FIELD = pattern(r'([^\s=]+)=("(?:[^"\\]|\\.)*"|\S*)')
_RESERVED = frozenset({"true", "false", "null", "nan", "NaN", "inf", "Infinity", "-Infinity"})
_LEVEL_WIDTH = 8
_encode = json.JSONEncoder(ensure_ascii=False).encode


def log_line(at: float, level: str, message: str, fields: Mapping[str, object]) -> str:
    """One message with its line breaks; `at` is in seconds since the epoch."""
    first, *rest = message.rstrip().split("\n")
    head = f"{_time_text(at)} {level:<{_LEVEL_WIDTH}} {first.rstrip()}"
    if fields:
        head += "\t" + " ".join(f"{_name(name)}={_value(value)}" for name, value in fields.items())
    elif "\t" in first:
        head += "\t"
    return "\n  ".join([head, *rest]) + "\n"


def read_log(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """`{"at", "level", "message", "fields"}` of each message; `at` is ISO 8601. Lines before the first are left out."""
    entry: dict[str, Any] | None = None
    further: list[str] = []
    for line in lines:
        text = line.rstrip("\n")
        found = _HEAD.match(text)
        if found is None:
            further.append(text.removeprefix("  "))
            continue
        if entry is not None:
            yield _finished(entry, further)
        further = []
        entry = _begun(found)
    if entry is not None:
        yield _finished(entry, further)


def _begun(found: re.Match[str]) -> dict[str, Any]:
    message, _, fields = (found[3] or "").rpartition("\t") if "\t" in (found[3] or "") else (found[3] or "", "", "")
    at = found[1].removesuffix("Z") + "+00:00"
    return {"at": at, "level": found[2], "message": message, "fields": dict(_fields(fields))}


def _finished(entry: dict[str, Any], further: list[str]) -> dict[str, Any]:
    if further:
        entry["message"] = "\n".join([entry["message"], *further])
    return entry


def _fields(text: str) -> Iterator[tuple[str, Any]]:
    for name, value in _FIELD.findall(text):
        try:
            yield name, json.loads(value)
        except ValueError:
            yield name, value


def _name(name: object) -> str:
    text = str(name)
    return text if text.isidentifier() else re.sub(r"[\s=]+", "_", text) or "_"


def _value(value: object) -> str:
    if type(value) is int or (isinstance(value, str) and _PLAIN.fullmatch(value) and value not in _RESERVED):
        return str(value)
    return _encode(value)


def _time_text(at: float) -> str:
    second = int(at)
    return f"{_second_text(second)}.{int((at - second) * 1000):03d}Z"


@functools.lru_cache(maxsize=64)
def _second_text(second: int) -> str:
    return datetime.datetime.fromtimestamp(second, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
