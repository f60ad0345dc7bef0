"""What a node returns becomes plain JSON text, or an error with the path to the value that cannot."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import math
import pathlib
import uuid

from sqlbuild.errors import UnstorableResult

MAX_DEPTH = 100
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_ISO = (datetime.datetime, datetime.date, datetime.time)
_TEXT = (decimal.Decimal, uuid.UUID, pathlib.PurePath)


def plain_json_text(value: object, where: str, max_bytes: int) -> str | None:
    """Compact JSON of `value` (None for None), at most `max_bytes` of UTF-8.

    tuple -> list, date and time -> ISO 8601, Decimal, UUID and Path -> str, enum -> its value, dataclass -> dict,
    numpy and pandas scalars -> `.item()`. Raises UnstorableResult naming the path, for example
    `payload["rows"][3].price`.
    """
    if value is None:
        return None
    text = _COMPACT.encode(_plain(value, where, 0, []))
    size = len(text) if text.isascii() else len(text.encode())
    if size > max_bytes:
        raise UnstorableResult(
            f"{where} is {size:,} bytes of JSON; at most {max_bytes:,} are stored",
            help="write the data to a file or table and return its path, or raise [settings] max_payload_bytes",
        )
    return text


def _plain(value: object, where: str, depth: int, inside: list[int]) -> object:
    match value:
        case None | bool():
            return value
        case enum.Enum():
            return _plain(value.value, where, depth, inside)
        case str():
            return _text(value, where)
        case int():
            return int(value)
        case float():
            if not math.isfinite(value):
                raise _refused(where, f"is {value}", "JSON has no NaN or Infinity; return None or a string instead")
            return float(value)
        case _ if isinstance(value, _ISO):
            return _iso(value, where)
        case _ if isinstance(value, _TEXT):
            return str(value)
        case _:
            return _container(value, where, depth, inside)


def _container(value: object, where: str, depth: int, inside: list[int]) -> object:
    if depth >= MAX_DEPTH:
        raise _refused(where, f"is nested deeper than {MAX_DEPTH} levels", "flatten it, or write it to a file")
    if id(value) in inside:
        raise _refused(where, "contains itself", "return data without cycles")
    inside.append(id(value))
    try:
        if isinstance(value, dict):
            return {
                _key(key, where): _plain(item, f"{where}[{json.dumps(_key(key, where))}]", depth + 1, inside)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [_plain(item, f"{where}[{index}]", depth + 1, inside) for index, item in enumerate(value)]
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {
                field.name: _plain(getattr(value, field.name), f"{where}.{field.name}", depth + 1, inside)
                for field in dataclasses.fields(value)
            }
        return _scalar(value, where, depth, inside)
    finally:
        inside.pop()


def _scalar(value: object, where: str, depth: int, inside: list[int]) -> object:
    kind = type(value)
    if kind.__name__ in ("NaTType", "NAType"):
        raise _refused(where, f"is {kind.__name__.removesuffix('Type')}", "return None or a string instead")
    item = getattr(value, "item", None)
    if kind.__module__.partition(".")[0] in ("numpy", "pandas") and callable(item) and getattr(value, "ndim", 0) == 0:
        plain = item()
        if type(plain) is not kind:
            return _plain(plain, where, depth, inside)
    advice = {
        "bytes": "decode it, or write it to a file and return the path",
        "bytearray": "decode it, or write it to a file and return the path",
        "set": "return sorted(...) instead",
        "frozenset": "return sorted(...) instead",
        "coroutine": "await it before returning",
    }.get(kind.__name__, "return plain data: dict, list, str, int, float, bool, None, dates, dataclasses")
    raise _refused(where, f"is of type {kind.__name__}, which is not JSON", advice)


def _key(key: object, where: str) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if not isinstance(key, str):
        raise _refused(where, f"has a key of type {type(key).__name__}", "use strings as keys")
    return _text(key, where)


def _text(value: str, where: str) -> str:
    if "\0" in value:
        raise _refused(where, "holds a NUL character", "remove it")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _refused(where, "holds a lone surrogate", "decode the text with its real encoding") from None
    return str(value)


def _iso(value: datetime.datetime | datetime.date | datetime.time, where: str) -> str:
    if type(value).__name__ == "NaTType":
        raise _refused(where, "is NaT", "return None or a string instead")
    return value.isoformat()


def _refused(where: str, what: str, advice: str) -> UnstorableResult:
    return UnstorableResult(f"{where} {what}", help=advice)
