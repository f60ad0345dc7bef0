"""Typed references to SQL resources, for `depends_on` and `ctx.relation`."""

from __future__ import annotations

import dataclasses
from typing import Literal

ReferenceKind = Literal["model", "source", "seed"]


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """A model, source or seed, by kind and name."""

    kind: ReferenceKind
    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise TypeError(f"{self.kind}() takes the name of a {self.kind} as a non-empty string, not {self.name!r}")

    def __repr__(self) -> str:
        return f"{self.kind}({self.name!r})"


def model(name: str) -> Reference:
    """The SQL model called `name`. Raises TypeError if `name` is not a non-empty string."""
    return Reference("model", name)


def source(name: str) -> Reference:
    """The source called `name`. Raises TypeError if `name` is not a non-empty string."""
    return Reference("source", name)


def seed(name: str) -> Reference:
    """The seed called `name`. Raises TypeError if `name` is not a non-empty string."""
    return Reference("seed", name)
