"""Typed references to SQL resources, for `depends_on` and `ctx.relation`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

ReferenceKind = Literal["model", "source", "seed", "function"]

CALLS: Mapping[str, str] = MappingProxyType(
    {"model": "__ref", "source": "__source", "seed": "__seed", "function": "__udf"}
)
"""What a reference of each kind is called in SQL."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """A model, source, seed or SQL function, by kind and name."""

    kind: ReferenceKind
    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise TypeError(f"{self.kind}() takes the name of a {self.kind} as a non-empty string, not {self.name!r}")

    def __repr__(self) -> str:
        return f"{self.kind}({self.name!r})"


class SqlResourceRef(Reference):
    """What a macro is given for a `__ref("x")`, `__source("x")` or `__seed("x")` among its arguments.

    As text, also in an f-string, it is that call, so it can be put into the SQL that the macro returns.
    """

    __slots__ = ()

    def __str__(self) -> str:
        return f'{CALLS[self.kind]}("{self.name}")'


def model(name: str) -> Reference:
    """The SQL model called `name`. Raises TypeError if `name` is not a non-empty string."""
    return Reference("model", name)


def source(name: str) -> Reference:
    """The source called `name`. Raises TypeError if `name` is not a non-empty string."""
    return Reference("source", name)


def seed(name: str) -> Reference:
    """The seed called `name`. Raises TypeError if `name` is not a non-empty string."""
    return Reference("seed", name)
