"""What a built relation has besides its rows: indexes, and who may do what with it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

from sqlbuild.domain.ids import Place
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record

MAX_NAME_BYTES = 63
"""Bytes of a name that PostgreSQL keeps."""

PRIVILEGES = frozenset({"select", "insert", "update", "delete", "truncate", "references", "trigger", "maintain", "all"})
"""What can be granted on tables and views."""

Grants = Mapping[str, tuple[str, ...]]
"""Privilege in lower case -> roles; `public` is everybody."""

_NOT_IN_A_NAME = pattern(r"\W+")
_DIGEST_LENGTH = 12


@record(frozen=True, slots=True, kw_only=True)
class Index:
    """One index of a table."""

    columns: tuple[str, ...]
    """As in SQL: `order_id`, `created_at DESC NULLS LAST`, `lower(email)`, `(a + b)`."""
    name: str | None = None
    unique: bool = False
    where: str | None = None
    """A condition in SQL: only rows that fulfil it are in the index."""
    using: str | None = None
    """The method: `btree`, `hash`, `gin`, `gist`, `brin` and so on."""
    include: tuple[str, ...] = ()
    place: Place = dataclasses.field(default=Place(""), compare=False)

    def facts(self) -> tuple[object, ...]:
        """All that makes it what it is."""
        return (self.columns, self.name, self.unique, self.where, self.using, self.include)


def index_names(relation: str, indexes: Sequence[Index]) -> tuple[str, ...]:
    """The names of the indexes of a table called `relation`: those that were given, else `orders_order_id_idx`.

    All differ, and those that are made up have at most 63 bytes.
    """
    names: list[str] = []
    taken = {index.name for index in indexes if index.name is not None}
    for index in indexes:
        name = index.name
        if name is None:
            keys = "_".join(_NOT_IN_A_NAME.sub("_", key).strip("_") for key in index.columns)
            stem = f"{relation}_{keys}".lower()
            ending = "_key" if index.unique else "_idx"
            name = _fitting(stem, ending)
            number = 1
            while name in taken:
                number += 1
                name = _fitting(stem, f"_{number}{ending}")
            taken.add(name)
        names.append(name)
    return tuple(names)


def _fitting(stem: str, ending: str) -> str:
    """What does not fit is told apart by a digest."""
    if len((stem + ending).encode()) <= MAX_NAME_BYTES:
        return stem + ending
    digest = hashlib.sha256(stem.encode()).hexdigest()[:_DIGEST_LENGTH]
    room = MAX_NAME_BYTES - len(f"_{digest}{ending}".encode())
    return f"{stem.encode()[:room].decode(errors='ignore')}_{digest}{ending}"
