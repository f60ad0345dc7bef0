"""The secrets that a provider holds, told by what they can do: a value with `get_secret_value()` is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MAX_DEPTH = 10


def secret_values(value: Any, depth: int = 0) -> Iterator[str]:
    """Texts of all fields of type `SecretStr`, `SecretBytes` and the like, also in lists, mappings and nested models."""
    if depth > MAX_DEPTH:
        return
    reveal = getattr(type(value), "get_secret_value", None)
    if reveal is not None:
        yield from _texts(reveal(value))
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from secret_values(entry, depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for entry in value:
            yield from secret_values(entry, depth + 1)
    else:
        for name in getattr(type(value), "model_fields", ()):
            yield from secret_values(getattr(value, name, None), depth + 1)


def _texts(secret: object) -> Iterator[str]:
    if isinstance(secret, bytes):
        yield secret.decode("utf-8", "backslashreplace")
    elif isinstance(secret, str | int):
        yield str(secret)
