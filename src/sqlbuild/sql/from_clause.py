"""What a FROM clause brings into scope. Imported only by what needs the parser."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from sqlbuild.sql.column_lineage import Tracer
from sqlbuild.sql.column_types import joint_type, type_of
from sqlbuild.sql.query_analysis import NamedTable, QueryInput, masked_input
from sqlbuild.sql.scopes import NOWHERE, Field, FromItem, Names, Scope, Shape, unknown_shape
from sqlbuild.sql.type_names import canonical_type

Ctes = Mapping[str, Shape]


class FromReader:
    """Puts the relations of a SELECT into its scope, in their order."""

    def __init__(
        self,
        inputs: Sequence[QueryInput],
        names: Names,
        tracer: Tracer,
        read_query: Callable[[exp.Expr, Scope | None, Ctes], Shape],
        dialect: str,
    ) -> None:
        self.inputs = inputs
        self.names = names
        self.tracer = tracer
        self.read_query = read_query
        self.dialect = dialect
        self.named_tables: list[NamedTable] = []
        self._shapes: dict[int, Shape] = {}

    def key(self, identifier: exp.Expr) -> str:
        return self.names.key(self.written(identifier))

    def written(self, identifier: exp.Expr) -> str:
        return self.names.written(identifier.name, bool(identifier.args.get("quoted")))

    def alias_columns(self, alias: exp.Expr | None) -> list[str]:
        return [self.written(column) for column in (alias.args.get("columns") or ())] if alias is not None else []

    def read(self, select: exp.Select, scope: Scope, ctes: Ctes) -> None:
        """The FROM clause of `select` and its joins."""
        clause = select.args.get("from_")
        if clause is not None:
            self._add(clause.this, scope, ctes)
        for lateral in select.args.get("laterals") or ():
            self._add(lateral, scope, ctes)
        self._add_joins(select.args.get("joins") or (), scope, ctes)

    def brackets(self, node: exp.Expr, scope: Scope, ctes: Ctes) -> Shape:
        """`(a JOIN b USING (x))` seen as one relation."""
        self._add(node.this if isinstance(node, exp.Subquery) else node, scope, ctes)
        if isinstance(node, exp.Subquery):
            self._add_joins(node.args.get("joins") or (), scope, ctes)
        if scope.star_unknown:
            return unknown_shape(scope.star_unknown)
        first = scope.merged_first
        fields = [scope.merged[key] for key in first]
        more: frozenset[int] = frozenset()
        because = ""
        for item in scope.items:
            for field in item.shape.fields:
                key = self.names.key(field.name) if field.name is not None else ""
                if key not in item.merged and not (key in item.kept and key in first):
                    fields.append(scope.merged[key] if key in item.kept else field)
            more |= item.shape.more
            because = because or item.shape.because
        return Shape(fields, more, because)

    def values(self, node: exp.Values, scope: Scope) -> Shape:
        """A VALUES list; columns without alias are col0, col1 in DuckDB and column1, column2 in PostgreSQL."""
        rows = [row.expressions if isinstance(row, exp.Tuple) else [row] for row in node.expressions]
        if not rows or len({len(row) for row in rows}) > 1:
            return unknown_shape("VALUES with rows of different lengths")
        columns: list[Field] = []
        for place in range(len(rows[0])):
            name = f"col{place}" if self.dialect == "duckdb" else f"column{place + 1}"
            sources: frozenset[tuple[int, str]] = frozenset()
            types: list[str | None] = []
            for row in rows:
                traced = self.tracer.trace(row[place], scope)
                sources |= traced.sources
                types.append(type_of(row[place], traced.types, self.dialect))
            joint = types[0]
            for each in types[1:]:
                joint = joint_type(joint, each, self.dialect)
            columns.append(Field(name, joint, sources))
        return Shape(columns)

    def renamed(self, shape: Shape, columns: Sequence[str]) -> Shape:
        """`shape` as a relation of its own, with the names that an alias gives to its first columns."""
        if not columns:
            if shape.complete:
                return Shape(self.names.without_duplicates(shape.fields))
            return shape
        if not shape.complete:
            return Shape([Field(name) for name in columns], shape.more | {NOWHERE}, shape.because)
        fields = list(shape.fields)
        for place, name in enumerate(columns[: len(fields)]):
            fields[place] = dataclasses.replace(fields[place], name=name)
        return Shape(self.names.without_duplicates(fields))

    def _add(self, node: exp.Expr, scope: Scope, ctes: Ctes) -> None:
        alias = node.args.get("alias")
        if isinstance(node, exp.Subquery) and isinstance(node.this, (exp.Table, exp.Subquery)) and alias is None:
            inner = node.this
            if isinstance(inner, exp.Table) or not _is_query(inner):
                self._add(inner, scope, ctes)
                self._add_joins(node.args.get("joins") or (), scope, ctes)
                return
        item = self._relation(node, scope, ctes)
        if node.args.get("pivots"):
            item = FromItem("", "", unknown_shape(_pivot_name(node.args["pivots"][0])))
        if alias is not None and alias.this is not None:
            item.key = self.key(alias.this)
            item.label = item.label or self.written(alias.this)
        item.label = item.label or "a subquery"
        item.shape = self.renamed(item.shape, self.alias_columns(alias))
        scope.items.append(item)
        if isinstance(node, exp.Table):
            self._add_joins(node.args.get("joins") or (), scope, ctes)

    def _relation(self, node: exp.Expr, scope: Scope, ctes: Ctes) -> FromItem:
        """A relation as it is called without an alias."""
        if isinstance(node, exp.Table):
            return self._table(node, scope, ctes)
        if isinstance(node, exp.Lateral):
            inner = node.this
            if isinstance(inner, (exp.Subquery, exp.Unnest)) and not node.args.get("ordinality"):
                return self._relation(inner, scope, ctes)
            if isinstance(inner, exp.Anonymous) and not node.args.get("ordinality"):
                item = self._function(inner, scope)
                if item is not None:
                    return item
            return FromItem("", "", unknown_shape("a table function"))
        if isinstance(node, exp.Subquery):
            if _is_query(node):
                return FromItem("", "", self.read_query(node, scope, ctes))
            return FromItem("", "", self.brackets(node, Scope(self.names, scope), ctes))
        if isinstance(node, exp.Values):
            return FromItem("", "", self.values(node, scope))
        if isinstance(node, exp.Unnest):
            return FromItem("unnest", "", self._unnest(node, scope))
        return FromItem("", "", unknown_shape(f"{type(node).__name__.upper()} in FROM"))

    def _table(self, node: exp.Table, scope: Scope, ctes: Ctes) -> FromItem:
        name = node.this
        if isinstance(name, exp.GenerateSeries) and not node.args.get("ordinality"):
            return self._series(node, name, scope)
        if isinstance(name, exp.Anonymous) and (item := self._function(name, scope)) is not None:
            return item
        if not isinstance(name, exp.Identifier):
            called = name.name if isinstance(name, exp.Anonymous) else _function_name(name)
            return FromItem("", f"{called.lower()}()", unknown_shape("a table function"))
        if node.args.get("db") is None:
            found = masked_input(name.name)
            if found is not None and found < len(self.inputs):
                given = self.inputs[found]
                return FromItem(self.names.key(given.alias), given.label, self._input(found))
            key = self.key(name)
            if key in ctes:
                return FromItem(key, self.written(name), ctes[key])
        return self._named_table(node, name)

    def _function(self, called: exp.Anonymous, scope: Scope) -> FromItem | None:
        """A table function of the project; None for any other."""
        found = masked_input(called.name)
        if found is None or found >= len(self.inputs) or self.inputs[found].scalar:
            return None
        for argument in called.expressions:
            self.tracer.trace(argument, scope)
        given = self.inputs[found]
        return FromItem(self.names.key(given.alias), given.label, self._input(found))

    def _series(self, node: exp.Table, series: exp.GenerateSeries, scope: Scope) -> FromItem:
        """range() and generate_series(): one column, called like the relation."""
        for part in series.iter_expressions():
            self.tracer.trace(part, scope)
        label = "range" if series.args.get("is_end_exclusive") else "generate_series"
        alias = node.args.get("alias")
        column = self.written(alias.this) if alias is not None and alias.this is not None else label
        counts = self.dialect == "duckdb" and _counts_integers(series)
        return FromItem(label, "", Shape([Field(column, "BIGINT" if counts else None)]))

    def _named_table(self, node: exp.Table, name: exp.Identifier) -> FromItem:
        path = [node.args.get(part) for part in ("catalog", "db")]
        database, schema = (part.name if isinstance(part, exp.Expr) else "" for part in path)
        first = next((part for part in (*path, name) if isinstance(part, exp.Identifier)), name)
        meta = first.meta
        column = int(meta.get("col") or 1) - (int(meta.get("end") or 0) - int(meta.get("start") or 0))
        self.named_tables.append(NamedTable(database, schema, name.name, int(meta.get("line") or 1), column))
        shown = ".".join(part for part in (database, schema, name.name) if part)
        return FromItem(self.key(name), shown, unknown_shape("it is no node of the project"))

    def _input(self, index: int) -> Shape:
        shape = self._shapes.get(index)
        if shape is None:
            given = self.inputs[index]
            fields = [
                Field(
                    name,
                    canonical_type(type_name, self.dialect),
                    frozenset({(index, name)}),
                    nullable=given.nullable.get(name),
                )
                for name, type_name in given.columns
            ]
            more = frozenset() if given.complete else frozenset({index})
            shape = Shape(fields, more, "" if given.complete else "its columns are not known")
            self._shapes[index] = shape
        return shape

    def _unnest(self, node: exp.Unnest, scope: Scope) -> Shape:
        values = node.expressions
        if len(values) != 1 or node.args.get("offset") or self.dialect != "duckdb":
            return unknown_shape("unnest in FROM")
        traced = self.tracer.trace(values[0], scope)
        listed = type_of(values[0], traced.types, self.dialect)
        alias = node.args.get("alias") or (
            node.parent.args.get("alias") if isinstance(node.parent, exp.Lateral) else None
        )
        named = alias.this if alias is not None else None
        name = self.written(named) if named is not None else "unnest"
        return Shape([Field(name, listed[:-2] if listed and listed.endswith("[]") else None, traced.sources)])

    def _add_joins(self, joins: Sequence[exp.Expr], scope: Scope, ctes: Ctes) -> None:
        group = 0
        for join in joins:
            before = len(scope.items)
            plain = not any(join.args.get(part) for part in ("on", "using", "side", "kind", "method"))
            group = before if plain else group
            if plain and scope.merged_first:
                scope.star_unknown = "joins with USING beside others"
            self._add(join.this, scope, ctes)
            new = scope.items[before:]
            kind, method, side = (str(join.args.get(part) or "").upper() for part in ("kind", "method", "side"))
            is_positional = "POSITIONAL" in (kind, method)
            if is_positional or side in ("RIGHT", "FULL"):
                _may_lack(scope.items[:before])
                scope.merged = {key: dataclasses.replace(field, nullable=True) for key, field in scope.merged.items()}
            using = join.args.get("using") or ()
            if method == "NATURAL":
                self._merge_natural(scope, scope.items[group:before], new, side)
            elif using:
                if group and self.dialect != "duckdb":
                    scope.star_unknown = "joins with USING beside others"
                names = [column.this if isinstance(column, exp.Column) else column for column in using]
                self._check_using(names, scope.items[group:before], new)
                self._merge(scope, scope.items[group:before], new, [self.key(name) for name in names], side)
            condition = join.args.get("on")
            if isinstance(condition, exp.Expr):
                self.tracer.trace(condition, scope)
            if is_positional or side in ("LEFT", "FULL"):
                _may_lack(new)
            if kind in ("SEMI", "ANTI"):
                del scope.items[before:]

    def _check_using(self, names: Sequence[exp.Expr], left: Sequence[FromItem], right: Sequence[FromItem]) -> None:
        for name in names:
            for items in (left, right):
                certain = all(item.shape.certain for item in items)
                if certain and isinstance(name, exp.Identifier) and not _has(items, self.key(name), self.names):
                    known = [field.name for item in items for field in item.shape.fields if field.name is not None]
                    labels = ", ".join(item.label for item in items)
                    self.tracer.report_unknown(name, known, f"USING names an unknown column of {labels}:")

    def _merge_natural(self, scope: Scope, left: Sequence[FromItem], right: Sequence[FromItem], side: str) -> None:
        if not all(item.shape.certain for item in (*left, *right)):
            scope.star_unknown = "NATURAL JOIN with columns that are not known"
            return
        there = {key for item in right for key in item.shape.by_key(self.names)}
        keys = dict.fromkeys(key for item in left for key in item.shape.by_key(self.names) if key in there)
        self._merge(scope, left, right, list(keys), side)

    def _merge(
        self, scope: Scope, left: Sequence[FromItem], right: Sequence[FromItem], keys: Sequence[str], side: str
    ) -> None:
        for key in keys:
            one = scope.merged.get(key) or _first_field(left, key, self.names)
            other = _first_field(right, key, self.names)
            for item in right:
                item.merged.add(key)
            for item in left:
                if key in item.shape.by_key(self.names) and key not in item.merged:
                    item.kept.add(key)
            members = scope.members.setdefault(key, [one] if one is not None else [])
            if other is not None:
                members.append(other)
            if one is None or other is None:
                kept = one or other
            elif side == "RIGHT":
                kept = other
            elif side == "FULL" or key in scope.coalesced:
                scope.coalesced.add(key)
                kept = _coalesced(one.name, members, self.dialect)
            else:
                kept = one
            if kept is not None:
                if self.dialect != "duckdb" and one is not None and other is not None:
                    kept = dataclasses.replace(kept, type=joint_type(one.type, other.type, self.dialect))
                scope.merged[key] = kept
        if self.dialect != "duckdb":
            scope.merged_first = [*keys, *(key for key in scope.merged_first if key not in keys)]


def _may_lack(items: Sequence[FromItem]) -> None:
    """An outer join shows NULL for them where it finds no row."""
    for item in items:
        fields = [dataclasses.replace(field, nullable=True) for field in item.shape.fields]
        item.shape = Shape(fields, item.shape.more, item.shape.because)


def _coalesced(name: str | None, members: Sequence[Field], dialect: str) -> Field:
    """What a FULL JOIN shows for a merged column: the first value that is there, of all relations merged so far."""
    joint = members[0]
    for member in members[1:]:
        joint = Field(name, joint_type(joint.type, member.type, dialect), joint.sources | member.sources)
    return Field(name, joint.type, joint.sources, "expression")


def _has(items: Sequence[FromItem], key: str, names: Names) -> bool:
    return any(key in item.shape.by_key(names) for item in items)


def _first_field(items: Sequence[FromItem], key: str, names: Names) -> Field | None:
    return next((field for item in items if (field := item.shape.by_key(names).get(key)) is not None), None)


def _is_query(node: exp.Expr) -> bool:
    """Whether brackets hold a query, and not a table or a join."""
    while isinstance(node, exp.Subquery):
        node = node.this
    return not isinstance(node, exp.Table)


def _counts_integers(series: exp.GenerateSeries) -> bool:
    bounds = [part for part in (series.args.get("start"), series.args.get("end")) if part is not None]
    return all(isinstance(part.this if isinstance(part, exp.Neg) else part, exp.Literal) for part in bounds)


def _function_name(node: exp.Expr) -> str:
    return node.sql_name() if isinstance(node, exp.Func) else type(node).__name__


def _pivot_name(pivot: exp.Expr) -> str:
    return "UNPIVOT" if pivot.args.get("unpivot") else "PIVOT"
