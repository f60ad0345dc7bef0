"""A mapping that is made when somebody looks into it: of what every command knows, but few ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class MadeWhenRead(Mapping[Key, Value]):
    """What `make` returns, which is called once at most."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Mapping[Key, Value]]) -> None:
        self._make: Callable[[], Mapping[Key, Value]] | None = make
        self._made: Mapping[Key, Value] = {}

    def _all(self) -> Mapping[Key, Value]:
        make, self._make = self._make, None
        if make is not None:
            self._made = make()
        return self._made

    def __getitem__(self, key: Key) -> Value:
        return self._all()[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return repr(self._all())
