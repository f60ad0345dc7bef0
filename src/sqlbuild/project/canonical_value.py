"""Values that a node's code is bound to, as canonical JSON text: equal values give equal text in every process."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import math
import pathlib
import re
import uuid
from typing import Any, cast

from sqlbuild.project.canonical_code import digest_of

MAX_DEPTH = 50
MAX_TEXT = 1_000
"""Longer text is kept as its digest."""

_AS_TEXT = (
    datetime.datetime, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID, range, complex,
)  # fmt: skip
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class _NotPlain(Exception):
    """A value without a text that means the same in every process."""


def canonical_json(value: object) -> str | None:
    """The text, or None for a value that has none: an object with a state of its own, or one nested too deeply."""
    if type(value) is str and len(value) < MAX_TEXT:
        return _encode(value)
    try:
        text = _encode(_plain(value, 0))
    except _NotPlain:
        return None
    return text if len(text) <= MAX_TEXT else _encode({"sha256": digest_of(text), "characters": len(text)})


def _plain(value: object, depth: int) -> object:
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        assert isinstance(value, int)
        return value if value.bit_length() < 4_000 else {"int": hex(value)}
    if kind is float:
        assert isinstance(value, float)
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind in _AS_TEXT:
        return {kind.__name__: str(value)}
    # By type(): asking a foreign object for its __class__ may run code that raises.
    if issubclass(kind, enum.Enum):
        return {"enum": f"{kind.__module__}.{kind.__qualname__}.{cast(enum.Enum, value).name}"}
    if issubclass(kind, pathlib.PurePath):
        return {"path": str(value)}
    if kind is re.Pattern:
        assert isinstance(value, re.Pattern)
        return {"pattern": _plain(value.pattern, depth), "flags": value.flags}
    if kind in (bytes, bytearray):
        assert isinstance(value, bytes | bytearray)
        return {"bytes": value.hex()}
    if depth >= MAX_DEPTH:
        raise _NotPlain
    return _container(value, depth + 1)


def _container(value: object, depth: int) -> object:
    kind = type(value)
    if kind in (list, tuple):
        assert isinstance(value, list | tuple)
        return [_plain(each, depth) for each in value]
    if kind in (set, frozenset):
        assert isinstance(value, set | frozenset)
        return {"set": sorted(_encode(_plain(each, depth)) for each in value)}
    if kind is dict:
        assert isinstance(value, dict)
        if all(type(key) is str for key in value):
            return {"dict": {key: _plain(each, depth) for key, each in value.items()}}
        return {
            "dict": sorted([_encode(_plain(key, depth)), _encode(_plain(each, depth))] for key, each in value.items())
        }
    if "__dataclass_fields__" in vars(kind):
        fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(cast(Any, kind))}
        plain = {name: _plain(each, depth) for name, each in fields.items()}
        return {"dataclass": f"{kind.__module__}.{kind.__qualname__}", "fields": plain}
    if issubclass(kind, tuple):
        return {kind.__qualname__: [_plain(each, depth) for each in tuple.__iter__(cast("tuple[object, ...]", value))]}
    raise _NotPlain
