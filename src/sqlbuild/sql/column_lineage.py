"""Which columns an expression is made of, and which of its names mean nothing. Imported only with the parser."""

from __future__ import annotations

import dataclasses
import difflib
import enum
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping

from sqlglot import exp

from sqlbuild.domain.record import record
from sqlbuild.sql.query_analysis import Finding, masked_input
from sqlbuild.sql.scopes import NO_SOURCES, Field, Found, FromItem, Scope, Shape, Sources

_SPECIAL_NAMES = """
    all cmax cmin ctid current_catalog current_date current_role current_schema current_time current_timestamp
    current_user default file_index file_row_number filename localtime localtimestamp oid ordinality rowid
    session_user tableoid user xmax xmin
"""
NOT_COLUMNS = frozenset(_SPECIAL_NAMES.split())
"""Names that mean something in an expression although no relation lists them as a column."""

MAX_PROPOSED_NAMES = 8
_LEAVES = (exp.Identifier, exp.Literal, exp.Var, exp.DataType, exp.Null, exp.Boolean, exp.Placeholder)
_PARTICULAR = (
    exp.Query, exp.Pivot, exp.Star, exp.Columns, exp.Explode, exp.Unnest, exp.Anonymous, exp.Lambda, exp.Comprehension,
    exp.Dot, exp.WithinGroup, exp.PropertyEQ, exp.Kwarg, exp.Exists, exp.Window, exp.Order, exp.AggFunc,
)  # fmt: skip


class _Kind(enum.Enum):
    """What is to be done with a part of an expression."""

    NOTHING = enum.auto()
    """No column can stand in it."""
    COLUMN = enum.auto()
    PLAIN = enum.auto()
    """Its parts are all there is to it."""
    PARTICULAR = enum.auto()


def _find_kind(part: type) -> _Kind:
    """By the class of the part: there are a few hundred, and to ask `isinstance` of each part takes ten times as long."""
    if not issubclass(part, exp.Expr) or issubclass(part, _LEAVES):
        return _Kind.NOTHING
    if issubclass(part, exp.Column):
        return _Kind.COLUMN
    return _Kind.PARTICULAR if issubclass(part, _PARTICULAR) else _Kind.PLAIN


_kind_of: Callable[[type], _Kind] = functools.cache(_find_kind)


@record(slots=True)
class Traced:
    """`types` are those of columns and subqueries by `id` of their node. `star` says what stands in the expression
    that makes several columns of it; empty if nothing does. `unnested` are calls of unnest(), which may do so too.
    `is_plain` says that there are only operators and scalar functions of columns and constants in it."""

    sources: Sources = NO_SOURCES
    types: dict[int, str | None] = dataclasses.field(default_factory=dict)
    columns: dict[int, Field] = dataclasses.field(default_factory=dict)
    star: str = ""
    unnested: list[exp.Expr] = dataclasses.field(default_factory=list)
    is_plain: bool = True


_Visit = tuple[exp.Expr, frozenset[str], bool]
"""A node; the names of lambda parameters, which hide columns; and whether the value is made of what is found there: it
is not of how rows are ordered or split into windows."""


class Tracer:
    """Follows the names of expressions; collects `findings` and `notes` on the way."""

    def __init__(
        self, read_query: Callable[[exp.Expr, Scope], Shape], functions: Mapping[int, str | None] | None = None
    ) -> None:
        """`functions`: index of an input that is a function -> the type of its value."""
        self.read_query = read_query
        self.functions = functions or {}
        self.findings: dict[tuple[int, int], Finding] = {}
        self.notes: dict[str, None] = {}

    def trace(self, expression: exp.Expr, scope: Scope) -> Traced:
        traced = Traced()
        sources: set[tuple[int, str]] = set()
        stack: list[_Visit] = [(expression, frozenset(), True)]
        while stack:
            visit = stack.pop()
            node, shadowed, counts = visit
            kind = _kind_of(type(node))
            if kind is _Kind.COLUMN:
                self._trace_column(node, visit, scope, traced, sources)
            elif kind is _Kind.PLAIN:
                for value in node.args.values():
                    for part in value if isinstance(value, list) else (value,):
                        if _kind_of(type(part)) is not _Kind.NOTHING:
                            stack.append((part, shadowed, counts))
            elif kind is _Kind.PARTICULAR:
                traced.is_plain = False
                stack.extend(self._particular(node, visit, scope, traced, sources))
        traced.sources = frozenset(sources)
        return traced

    def _trace_column(
        self, node: exp.Expr, visit: _Visit, scope: Scope, traced: Traced, sources: set[tuple[int, str]]
    ) -> None:
        assert isinstance(node, exp.Column)
        if isinstance(node.this, exp.Star):
            traced.is_plain = False
            traced.star = traced.star or "* inside an expression"
            return
        _, shadowed, counts = visit
        field = self.column(node, scope, shadowed)
        traced.types[id(node)] = field.type
        traced.columns[id(node)] = field
        if counts:
            sources.update(field.sources)

    def _particular(
        self, node: exp.Expr, visit: _Visit, scope: Scope, traced: Traced, sources: set[tuple[int, str]]
    ) -> Iterable[_Visit]:
        """What a node means that is more than its parts; those of them that are to be visited."""
        if isinstance(node, (exp.Query, exp.Pivot)):
            shape = self.read_query(node, scope)
            traced.types[id(node)] = shape.fields[0].type if len(shape.fields) == 1 and shape.complete else None
            if visit[2]:
                sources.update(*(field.sources for field in shape.fields))
            return ()
        if isinstance(node, exp.Star):
            traced.star = traced.star or "* inside an expression"
            return ()
        if isinstance(node, exp.Columns):
            traced.star = traced.star or "COLUMNS(...)"
            return ()
        if isinstance(node, (exp.Explode, exp.Unnest)):
            traced.unnested.append(node)
        elif isinstance(node, exp.Anonymous) and (called := masked_input(node.name)) is not None:
            traced.types[id(node)] = self.functions.get(called)
        return self._parts(node, visit, scope, traced, sources)

    def _parts(
        self, node: exp.Expr, visit: _Visit, scope: Scope, traced: Traced, sources: set[tuple[int, str]]
    ) -> Iterator[_Visit]:
        """What below a node that is no column itself is to be visited."""
        _, shadowed, visit_counts = visit
        if isinstance(node, (exp.Lambda, exp.Comprehension)):
            shadowed |= _variables(node)
        if isinstance(node, exp.Dot):
            yield from self._method_call(node, visit, scope, traced, sources)
            return
        for key, value in node.args.items():
            if key == "this" and _names_no_column(node, value):
                continue
            counts = visit_counts and _gives_the_value(node, key)
            if isinstance(node, exp.WithinGroup) and isinstance(value, exp.Order):
                value = value.expressions
            for part in value if isinstance(value, list) else (value,):
                if _kind_of(type(part)) is not _Kind.NOTHING:
                    yield part, shadowed, counts

    def _method_call(
        self, node: exp.Dot, visit: _Visit, scope: Scope, traced: Traced, sources: set[tuple[int, str]]
    ) -> Iterator[_Visit]:
        """`x.list_sort()` and `(x).field`; the parser takes the `x` of the former for a name without meaning."""
        owner, called = node.this, node.expression
        _, shadowed, counts = visit
        if isinstance(called, exp.Anonymous) and called.name.lower() == "columns":
            traced.star = traced.star or "COLUMNS(...)"
        if not isinstance(owner, exp.Identifier):
            yield owner, shadowed, counts
        elif owner.name.lower() not in shadowed:
            found = scope.column(scope.names.written(owner.name, bool(owner.quoted)))
            if found is not None and counts:
                sources.update(found.field.sources)
        if not isinstance(called, exp.Identifier):
            yield called, shadowed, counts

    def column(self, node: exp.Column, scope: Scope, shadowed: frozenset[str] = frozenset()) -> Field:
        """What a column's name, with whatever qualifies it, means. Something that means nothing is a finding."""
        path = _path(node)
        if not path or path[0].name.lower() in shadowed:
            return Field(None)
        if len(path) == 1:
            return self._unqualified(path[0], scope.names.written(path[0].name, bool(path[0].quoted)), scope)
        names = [scope.names.written(part.name, bool(part.quoted)) for part in path]
        keys = [scope.names.key(name) for name in names]
        items = scope.items_called(keys[0])
        if items:
            return self._qualified(path, names, keys, items, scope)
        found = scope.column(names[0])
        if found is not None:
            return Field(names[-1], None, found.field.sources, "expression")
        items = scope.items_called(keys[-2])
        if items and len(path) > 2:
            return self._qualified(path[-2:], names[-2:], keys[-2:], items, scope)
        if len(path) == 2:
            known = [item.label for each in scope.outward() for item in each.items]
            help = _proposal(names[0], [*known, *scope.visible()], "relations here")
            self.report(path[0], f"{names[0]} is no relation and no column here", help)
        return Field(names[-1])

    def _unqualified(self, identifier: exp.Identifier, name: str, scope: Scope) -> Field:
        found = scope.column(name)
        if found is None:
            if identifier.quoted or name.lower() not in NOT_COLUMNS:
                help = _proposal(name, scope.visible(), "columns here")
                self.report(identifier, f"unknown column {name}{_from_items(scope)}", help)
            return Field(name)
        self._note_doubt(name, found)
        return found.field

    def _qualified(
        self, path: list[exp.Identifier], names: list[str], keys: list[str], items: list[FromItem], scope: Scope
    ) -> Field:
        """`t.x`, or `t.x.field`, where `t` is the name of `items`, the innermost of them first."""
        for item in items:
            field = item.shape.by_key(scope.names).get(keys[1])
            if field is not None:
                return field if len(path) == 2 else Field(names[-1], None, field.sources, "expression")
            if not item.shape.certain:
                return item.shape.guess(names[1]) if len(path) == 2 else Field(names[-1])
        struct = scope.column_of_a_relation(keys[0])
        if struct is not None:
            return Field(names[-1], None, struct.sources, "expression")
        if path[1].quoted or names[1].lower() not in NOT_COLUMNS:
            item = items[0]
            visible = [field.name for field in item.shape.fields if field.name is not None]
            label = f"{names[0]} ({item.label})" if item.label != names[0] else item.label
            self.report(path[1], f"unknown column {names[1]} in {label}", _proposal(names[1], visible, item.label))
        return Field(names[1])

    def _note_doubt(self, name: str, found: Found) -> None:
        if found.candidates:
            self.notes[f"{name} is ambiguous: it can be of {' or '.join(found.candidates)}"] = None

    def report_unknown(self, identifier: exp.Identifier, known: Iterable[str], what: str) -> None:
        self.report(identifier, f"{what} {identifier.name}", _proposal(identifier.name, known, "columns here"))

    def report(self, identifier: exp.Identifier, message: str, help: str) -> None:
        meta = identifier.meta
        line, end = meta.get("line"), meta.get("col")
        if line is None or end is None:
            self.notes[message] = None
            return
        column = int(end) - (int(meta["end"]) - int(meta["start"]))
        found = Finding(code="UNKNOWN_COLUMN", message=message, help=help, line=int(line), column=column)
        self.findings.setdefault((int(line), column), found)


def _path(node: exp.Column) -> list[exp.Identifier]:
    args = node.args
    parts = [args.get("table"), args.get("this")]
    if args.get("db") is not None:
        parts = [args.get("catalog"), args.get("db"), *parts]
    return [part for part in parts if isinstance(part, exp.Identifier)]


def _variables(node: exp.Expr) -> frozenset[str]:
    """The names that a lambda or list comprehension gives to its own values."""
    named = (
        node.expressions if isinstance(node, exp.Lambda) else [node.args.get(key) for key in ("expression", "position")]
    )
    return frozenset(found.name.lower() for each in named if each for found in each.find_all(exp.Identifier))


def _names_no_column(node: exp.Expr, value: object) -> bool:
    return isinstance(node, (exp.PropertyEQ, exp.Kwarg)) or (isinstance(node, exp.Count) and _is_star(value))


def _gives_the_value(node: exp.Expr, key: str) -> bool:
    """Whether values are made of this part; how rows are ordered or split into windows is not part of a value."""
    return not isinstance(node, exp.Exists) and (key == "this" or not isinstance(node, (exp.Window, exp.Order)))


def _is_star(value: object) -> bool:
    return isinstance(value, exp.Star) or (isinstance(value, exp.Column) and isinstance(value.this, exp.Star))


def _from_items(scope: Scope) -> str:
    labels = [item.label for item in scope.items]
    return f" in {', '.join(labels)}" if len(labels) == 1 else ""


def _proposal(name: str, known: Iterable[str], where: str) -> str:
    by_key = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), by_key, n=1, cutoff=0.6)
    if near:
        found = by_key[near[0]]
        if near[0] == name.lower() and found != near[0]:
            # Only where case matters is it unknown: in PostgreSQL.
            return f'did you mean "{found}", in double quotes? Without them a name is taken in lower case'
        return f"did you mean {found}?"
    if not by_key:
        return ""
    shown = list(by_key.values())
    more = f" and {len(shown) - MAX_PROPOSED_NAMES} more" if len(shown) > MAX_PROPOSED_NAMES else ""
    return f"{where}: {', '.join(shown[:MAX_PROPOSED_NAMES])}{more}"
