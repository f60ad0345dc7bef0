"""Which columns a piece of SQL can see, and what is known about them. Knows nothing of the parser."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from sqlbuild.domain.record import record
from sqlbuild.sql.query_analysis import masked_input

Sources = frozenset[tuple[int, str]]
"""Columns of the query's inputs: (index of the input, column)."""

NO_SOURCES: Sources = frozenset()
NOWHERE = -1
"""In place of an input's index: columns that come from no input of the query."""


@record(slots=True)
class Field:
    """A column of a relation or query. `name` is None where the warehouse makes one up.

    Not frozen, as there are several for every column of a query: making it takes a third of the time.
    """

    name: str | None
    type: str | None = None
    sources: Sources = NO_SOURCES
    transform: str = "direct"
    """How it is made of `sources`: see `sql.query_analysis.OutputColumn`."""
    nullable: bool | None = None
    """False: surely never NULL. True: nothing keeps NULL out. None: not known."""

    # Both are done for every column of every query: `dataclasses.replace` takes four times as long.

    def named(self, name: str | None) -> Field:
        """The same column by another name."""
        return Field(name, self.type, self.sources, self.transform, self.nullable)

    def perhaps_null(self) -> Field:
        """The same column where nothing is known of NULL in it."""
        return Field(self.name, self.type, self.sources, self.transform)


class Shape:
    """The columns of a relation or query.

    `more` names the inputs from which further columns, not in `fields`, can come; it is empty where `fields` is
    everything, in order. `because` says why there can be more.
    """

    __slots__ = ("_by_key", "because", "fields", "more")

    def __init__(self, fields: Iterable[Field], more: frozenset[int] = frozenset(), because: str = "") -> None:
        self.fields = tuple(fields)
        self.more = more
        self.because = because
        self._by_key: dict[str, Field] | None = None

    @property
    def complete(self) -> bool:
        return not self.more

    @property
    def certain(self) -> bool:
        """Whether a name that is not among the fields surely is not there."""
        return not self.more and all(field.name is not None for field in self.fields)

    def by_key(self, names: Names) -> dict[str, Field]:
        if self._by_key is None:
            keyed: dict[str, Field] = {}
            for field in self.fields:
                if field.name is not None:
                    keyed.setdefault(names.key(field.name), field)
            self._by_key = keyed
        return self._by_key

    def guess(self, name: str) -> Field:
        """A column that is not listed but may be there."""
        if len(self.more) != 1 or NOWHERE in self.more:
            return Field(name)
        return Field(name, None, frozenset({(next(iter(self.more)), name)}))


def unknown_shape(because: str) -> Shape:
    return Shape((), frozenset({NOWHERE}), because)


@record(frozen=True, slots=True)
class Names:
    """How the warehouse compares names."""

    case_sensitive: bool
    renames_duplicates: bool
    """A second column `x` of a subquery can be reached as `x_1`."""
    aliases: tuple[str, ...] = ()
    """By the index of an input: what its masked reference means where it qualifies a column."""

    def key(self, name: str) -> str:
        return name if self.case_sensitive else name.lower()

    def written(self, name: str, quoted: bool) -> str:
        """What the warehouse makes of a name in the text."""
        if quoted and (masked := masked_input(name)) is not None and masked < len(self.aliases):
            return self.aliases[masked]
        return name.lower() if self.case_sensitive and not quoted else name

    def without_duplicates(self, fields: Iterable[Field]) -> tuple[Field, ...]:
        """The columns as a relation made of them shows them."""
        fields = tuple(fields)
        if not self.renames_duplicates:
            return fields
        keys = [self.key(field.name) for field in fields if field.name is not None]
        if len(set(keys)) == len(keys):
            return fields
        return tuple(self._renamed(fields))

    def _renamed(self, fields: Iterable[Field]) -> Iterator[Field]:
        seen: dict[str, int] = {}
        for field in fields:
            if field.name is None:
                yield field
                continue
            name, key = field.name, self.key(field.name)
            if key in seen:
                while (candidate := self.key(f"{name}_{seen[key]}")) in seen:
                    seen[key] += 1
                name = f"{name}_{seen[key]}"
                seen[key] += 1
                key = candidate
            seen[key] = 1
            yield field.named(name)


@record(slots=True)
class FromItem:
    """One relation in a FROM clause; `key` is what its columns can be qualified with."""

    key: str
    label: str
    shape: Shape
    merged: set[str] = dataclasses.field(default_factory=set)
    """Columns that a join's USING has merged with those of an earlier relation; `*` shows them there."""
    kept: set[str] = dataclasses.field(default_factory=set)
    """Columns in whose place `*` shows what USING has merged."""


@record(frozen=True, slots=True)
class Found:
    """What a name in the text means."""

    field: Field
    candidates: tuple[str, ...] = ()
    """The relations that all have a column of this name, if there are several."""


class Scope:
    """The FROM clause of one SELECT, its select list so far, and what it can see of the queries around it."""

    def __init__(self, names: Names, parent: Scope | None = None) -> None:
        self.names = names
        self.parent = parent
        self.items: list[FromItem] = []
        self.merged: dict[str, Field] = {}
        """Columns merged by USING, as they are seen without a qualifier."""
        self.merged_first: list[str] = []
        """Those of `merged` that `*` shows before everything else, where the warehouse does so."""
        self.members: dict[str, list[Field]] = {}
        """All columns that went into those of `merged`."""
        self.coalesced: set[str] = set()
        """Those of `merged` that a FULL JOIN has merged; later joins add to them."""
        self.aliases: dict[str, Field] = {}
        """Names that the select list has given so far."""
        self.later_aliases: frozenset[str] = frozenset()
        self.star_unknown = ""
        """Why `*` cannot be expanded, if it cannot."""

    def outward(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def items_called(self, key: str) -> list[FromItem]:
        """The relations that can be qualified with a name, the innermost first."""
        called = [item for item in self.items if item.key == key]
        return called if self.parent is None else [*called, *self.parent.items_called(key)]

    def column_of_a_relation(self, key: str) -> Field | None:
        fields = (item.shape.by_key(self.names).get(key) for scope in self.outward() for item in scope.items)
        return next((field for field in fields if field is not None), None)

    def column(self, name: str) -> Found | None:
        """An unqualified name. None: surely no column."""
        key = self.names.key(name)
        for scope in self.outward():
            found = scope.own_column(key, name)
            if found is not None:
                return found
        return None

    def own_column(self, key: str, name: str) -> Found | None:
        merged = self.merged.get(key)
        if merged is not None:
            return Found(merged)
        hits = [
            (item.label, field) for item in self.items if (field := item.shape.by_key(self.names).get(key)) is not None
        ]
        if len(hits) == 1:
            return Found(hits[0][1])
        if hits:
            sources = frozenset().union(*(field.sources for _, field in hits))
            return Found(Field(hits[0][1].name, None, sources), tuple(label for label, _ in hits))
        alias = self.aliases.get(key)
        doubtful = [item.shape for item in self.items if not item.shape.certain]
        if alias is not None:
            return Found(alias)
        if key in self.later_aliases:
            return Found(Field(name))
        row = next((item for item in self.items if item.key == key), None)
        if row is not None:
            return Found(Field(name, None, _all_sources(row.shape), "expression"))
        if doubtful:
            return Found(doubtful[0].guess(name) if len(doubtful) == 1 else Field(name))
        return None

    def visible(self) -> list[str]:
        """Names that could be meant here, for proposals."""
        found: dict[str, None] = {}
        for scope in self.outward():
            for item in scope.items:
                found.update(dict.fromkeys(field.name for field in item.shape.fields if field.name is not None))
            found.update(dict.fromkeys(field.name for field in scope.aliases.values() if field.name is not None))
        return list(found)


def _all_sources(shape: Shape) -> Sources:
    return frozenset().union(*(field.sources for field in shape.fields)) if shape.fields else NO_SOURCES
