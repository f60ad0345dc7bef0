"""The columns that a query gives. Imported only by what needs the parser."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from sqlglot import exp

from sqlbuild.sql.column_lineage import Tracer
from sqlbuild.sql.column_transforms import joint_transform, transform_of
from sqlbuild.sql.column_types import joint_type, type_of
from sqlbuild.sql.from_clause import FromReader
from sqlbuild.sql.nullability import joint as joint_nullable
from sqlbuild.sql.nullability import may_be_null
from sqlbuild.sql.parsing import parse_query
from sqlbuild.sql.query_analysis import OutputColumn, QueryAnalysis, QueryInput
from sqlbuild.sql.scopes import NO_SOURCES, Field, FromItem, Names, Scope, Shape, unknown_shape
from sqlbuild.sql.type_names import canonical_type

Ctes = Mapping[str, Shape]

MAX_RECURSION_ROUNDS = 20
"""How often a recursive CTE is read again until its lineage does not grow any more."""


def find_output_columns(
    text: str, inputs: Sequence[QueryInput], dialect: str, arguments: QueryInput | None = None
) -> QueryAnalysis:
    """Analyse a query whose references are masked (see `mask_references`); its digest is left empty.

    `arguments` are those of the function whose query it is.
    """
    parsed = parse_query(text, dialect)
    if parsed.tree is None:
        unparsed = [f"columns not checked: {parsed.note}"] if parsed.note else []
        return QueryAnalysis(canonical_digest="", findings=parsed.findings, notes=tuple(unparsed))
    reader = _QueryReader(inputs, dialect)
    try:
        shape = reader.query(parsed.tree, reader.around(arguments), {})
    except RecursionError:
        return QueryAnalysis(canonical_digest="", notes=("columns not checked: the query is nested too deeply",))
    columns, reason = _columns_of(shape, reader.names)
    notes = [f"columns not checked: {reason}"] if reason else []
    findings = sorted(reader.tracer.findings.values(), key=lambda found: (found.line or 0, found.column or 0))
    analysis = QueryAnalysis(
        canonical_digest="",
        columns=columns,
        notes=(*notes, *reader.tracer.notes),
        findings=tuple(findings),
        tables=tuple(dict.fromkeys(reader.relations.named_tables)),
    )
    _untie(parsed.tree, reader)
    return analysis


def _untie(tree: exp.Expr, reader: _QueryReader) -> None:
    """Let both be freed when they are not used any more, and not when the collector comes: while a project is compiled it
    does not, and the trees of 1,000 queries take 120 MB."""
    for node in tree.walk():
        node.parent = None
    del reader.tracer, reader.relations


def _columns_of(shape: Shape, names: Names) -> tuple[tuple[OutputColumn, ...] | None, str]:
    if not shape.complete:
        return None, shape.because
    for position, field in enumerate(shape.fields, 1):
        if field.name is None:
            return None, f"column {position} has no name; give it one with AS"
    fields = names.without_duplicates(shape.fields)
    keys = [names.key(field.name or "") for field in fields]
    if len(set(keys)) < len(keys):
        twice = next(field.name for field, key in zip(fields, keys, strict=True) if keys.count(key) > 1)
        return None, f"two columns are called {twice}"
    return tuple(
        OutputColumn(field.name or "", field.type, tuple(sorted(field.sources)), field.transform, field.nullable)
        for field in fields
    ), ""


class _QueryReader:
    """Reads a query from the inside out: the FROM clause, then what the select list makes of it."""

    def __init__(self, inputs: Sequence[QueryInput], dialect: str) -> None:
        self.dialect = dialect
        duckdb = dialect == "duckdb"
        aliases = tuple(given.alias for given in inputs)
        self.names = Names(case_sensitive=not duckdb, renames_duplicates=duckdb, aliases=aliases)
        self.ctes: list[Ctes] = [{}]
        self.tracer = Tracer(
            lambda query, scope: self.query(query, scope, self.ctes[-1]),
            {
                index: canonical_type(given.columns[0][1], dialect)
                for index, given in enumerate(inputs)
                if given.scalar and given.columns
            },
        )
        self.relations = FromReader(inputs, self.names, self.tracer, self.query, dialect)

    def around(self, arguments: QueryInput | None) -> Scope | None:
        """What a whole query can see besides its inputs."""
        if arguments is None:
            return None
        scope = Scope(self.names)
        fields = [Field(name, canonical_type(type_name, self.dialect)) for name, type_name in arguments.columns]
        scope.items.append(FromItem(self.names.key(arguments.alias), arguments.label, Shape(fields)))
        return scope

    def query(self, node: exp.Expr, parent: Scope | None, ctes: Ctes) -> Shape:
        """The columns of a SELECT, a set operation, a VALUES list or any of these in brackets."""
        ctes = self._with(node, parent, ctes)
        self.ctes.append(ctes)
        try:
            if node.args.get("pivots"):
                return unknown_shape(_pivot_name(node.args["pivots"][0]))
            if isinstance(node, exp.Select):
                return self._select(node, parent, ctes)
            if isinstance(node, exp.SetOperation):
                return self._set_operation(node, parent, ctes)
            if isinstance(node, exp.Subquery) and not isinstance(node.this, exp.Table):
                return self.query(node.this, parent, ctes)
            if isinstance(node, (exp.Subquery, exp.Table)):
                return self.relations.brackets(node, Scope(self.names, parent), ctes)
            if isinstance(node, exp.Values):
                return self.relations.values(node, Scope(self.names, parent))
            if isinstance(node, exp.Pivot):
                return unknown_shape(_pivot_name(node))
            return unknown_shape(type(node).__name__.upper())
        finally:
            self.ctes.pop()

    def _with(self, node: exp.Expr, parent: Scope | None, ctes: Ctes) -> Ctes:
        clause = node.args.get("with_")
        if clause is None:
            return ctes
        known = dict(ctes)
        for cte in clause.expressions:
            alias = cte.args["alias"]
            key = self.relations.key(alias.this)
            columns = self.relations.alias_columns(alias)
            body = cte.this
            if clause.args.get("recursive") and isinstance(body, exp.SetOperation):
                shape = self._recursive(body, key, columns, parent, known)
            else:
                shape = self.relations.renamed(self.query(body, parent, known), columns)
            known[key] = shape
        return known

    def _recursive(
        self, body: exp.SetOperation, key: str, columns: Sequence[str], parent: Scope | None, ctes: Ctes
    ) -> Shape:
        """First the part that does not recurse, then all of it until the lineage is complete."""
        inner = self._with(body, parent, ctes)
        shape = self.relations.renamed(self.query(body.this, parent, inner), columns)
        for _ in range(MAX_RECURSION_ROUNDS):
            step = self.query(body.expression, parent, {**inner, key: shape})
            both = self.relations.renamed(self._combined(shape, step, body), columns)
            if both.fields == shape.fields and both.more == shape.more:
                break
            shape = both
        return shape

    def _set_operation(self, node: exp.SetOperation, parent: Scope | None, ctes: Ctes) -> Shape:
        operations: list[exp.SetOperation] = []
        left: exp.Expr = node
        while isinstance(left, exp.SetOperation) and (left is node or left.args.get("with_") is None):
            operations.append(left)
            left = left.this
        shape = self.query(left, parent, ctes)
        for operation in reversed(operations):
            shape = self._combined(shape, self.query(operation.expression, parent, ctes), operation)
        return shape

    def _combined(self, left: Shape, right: Shape, operation: exp.SetOperation) -> Shape:
        if any(operation.args.get(part) for part in ("side", "kind", "on")):
            return unknown_shape(f"a {type(operation).__name__.upper()} of matching columns")
        only_left = isinstance(operation, exp.Except)
        if operation.args.get("by_name"):
            return self._combined_by_name(left, right, only_left)
        if not left.complete:
            return Shape(left.fields, left.more | right.more, left.because)
        if not right.complete:
            self.tracer.notes[f"column lineage not complete: {right.because}"] = None
            return Shape([dataclasses.replace(field, type=None) for field in left.fields])
        if len(left.fields) != len(right.fields):
            return unknown_shape(
                f"{len(left.fields)} columns on one side of a set operation, {len(right.fields)} on the other"
            )
        return Shape(self._joined(one, other, only_left) for one, other in zip(left.fields, right.fields, strict=True))

    def _combined_by_name(self, left: Shape, right: Shape, only_left: bool) -> Shape:
        fields = list(left.fields)
        places = {self.names.key(field.name): place for place, field in enumerate(fields) if field.name is not None}
        for field in right.fields:
            place = places.get(self.names.key(field.name)) if field.name is not None else None
            if place is None:
                fields.append(field)
            else:
                fields[place] = self._joined(fields[place], field, only_left)
        return Shape(fields, left.more | right.more, left.because or right.because)

    def _joined(self, one: Field, other: Field, only_left: bool) -> Field:
        """A column of a set operation."""
        sources = one.sources if only_left else one.sources | other.sources
        both = (one,) if only_left else (one, other)
        return Field(
            one.name,
            joint_type(one.type, other.type, self.dialect),
            sources or NO_SOURCES,
            joint_transform([field.transform for field in both]),
            joint_nullable([field.nullable for field in both]),
        )

    def _select(self, node: exp.Select, parent: Scope | None, ctes: Ctes) -> Shape:
        scope = Scope(self.names, parent)
        self.relations.read(node, scope, ctes)
        scope.later_aliases = frozenset(
            self.relations.key(alias) for item in node.expressions for alias in _aliases_of(item)
        )
        columns = _SelectList(self, scope, node)
        if node.args.get("exclude"):
            columns.give_up("EXCLUDE behind the select list")
        for item in node.expressions:
            columns.add(item)
        for clause, value in node.args.items():
            if clause in ("expressions", "from_", "joins", "laterals", "with_"):
                continue
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, exp.Expr):
                    self.tracer.trace(part, scope)
        return Shape(map(columns.nullable, columns.fields), frozenset(columns.more), columns.because)


class _SelectList:
    """Collects the columns of one select list."""

    def __init__(self, reader: _QueryReader, scope: Scope, select: exp.Select) -> None:
        self.reader = reader
        self.scope = scope
        self.names = reader.names
        self.fields: list[Field] = []
        self.more: set[int] = set()
        self.because = ""
        group = select.args.get("group")
        self.grouped = group is not None and group.find(*_SEVERAL_GROUPINGS) is None
        self.sure = group is None or self.grouped
        """Whether a column is what it was in the relations: of several groupings some put NULL in its place."""
        self.filtered = any(select.args.get(clause) for clause in _FILTERS) or _has_inner_joins(select)

    def nullable(self, field: Field) -> Field:
        """`field` as it comes out of this SELECT, whose conditions may have kept NULL out."""
        return field.perhaps_null() if field.nullable is True and self.filtered else field

    def _of_relation(self, field: Field) -> Field:
        """A column of a relation as the select list sees it; a cast may make NULL of JSON, whose null is a value."""
        is_doubtful = field.nullable is not None and (not self.sure or field.type == "JSON")
        return field.perhaps_null() if is_doubtful else field

    def add(self, item: exp.Expr) -> None:
        if isinstance(item, exp.Star):
            self._star(item, self.scope.items)
            return
        if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            self._qualified_star(item, item.this)
            return
        value = item.this if isinstance(item, exp.Alias) else item
        field, star = self._value(value)
        if star:
            self.give_up(star)
        elif isinstance(item, exp.Alias):
            alias = item.args.get("alias")
            name = self.reader.relations.written(alias) if isinstance(alias, exp.Identifier) else None
            field = field.named(name)
            if name is not None:
                self.scope.aliases.setdefault(self.names.key(name), field)
        self.fields.append(field)

    def _value(self, value: exp.Expr) -> tuple[Field, str]:
        """What one expression gives, and why it may be several columns, if it may."""
        traced = self.reader.tracer.trace(value, self.scope)
        inner = value.unnest()
        if id(inner) in traced.columns:
            return self._of_relation(traced.columns[id(inner)]), traced.star
        type_name = type_of(value, traced.types, self.reader.dialect)
        star = traced.star
        for unnested in traced.unnested:
            listed = type_of(unnested.this, traced.types, self.reader.dialect) if unnested is inner else None
            type_name = listed[:-2] if listed is not None and listed.endswith("[]") else None
            if unnested.expressions or (type_name is None and not _gives_list(unnested.this)):
                star = star or "unnest of a value whose type is not known"
        used = traced.columns.values()
        nullables = {id: self._of_relation(field).nullable for id, field in traced.columns.items()}
        nullable = may_be_null(value, nullables, grouped=self.grouped, dialect=self.reader.dialect)
        transform = transform_of(
            inner,
            [field.transform for field in used],
            has_sources=bool(traced.sources),
            may_aggregate=not traced.is_plain,
        )
        return Field(self._name_made_up(inner), type_name, traced.sources, transform, nullable), star

    def _name_made_up(self, value: exp.Expr) -> str | None:
        """The name of a column without alias, for the few expressions where it is beyond doubt."""
        if self.reader.dialect == "duckdb":
            return "count_star()" if isinstance(value, exp.Count) and isinstance(value.this, exp.Star) else None
        return _postgres_name(value)

    def _star(self, star: exp.Star, items: Sequence[FromItem], *, qualified: bool = False) -> None:
        if star.args.get("ilike"):
            self.give_up("* with a pattern")
            return
        if not qualified and self.scope.star_unknown:
            self.give_up(self.scope.star_unknown)
        excluded = self._excluded(star, items)
        replaced = self._replaced(star)
        renamed = self._renamed(star)
        placed: list[Field] = []
        first = [] if qualified else self.scope.merged_first
        self.fields += [self.scope.merged[key] for key in first]
        for item in items:
            for field in item.shape.fields:
                key = self.names.key(field.name) if field.name is not None else ""
                if key in first and key in item.kept:
                    continue
                if (not qualified and key in item.merged) or (item.key, key) in excluded or ("", key) in excluded:
                    continue
                if key in replaced:
                    if (field := replaced[key]) in placed:
                        continue
                    placed.append(field)
                elif key in item.kept and not qualified:
                    field = self.scope.merged[key]
                self.fields.append(field.named(renamed.get(key, field.name)))
            if item.shape.more:
                self.more |= item.shape.more
                self.because = self.because or f"* of {item.label}: {item.shape.because}"

    def _excluded(self, star: exp.Star, items: Sequence[FromItem]) -> set[tuple[str, str]]:
        excluded: set[tuple[str, str]] = set()
        for column in star.args.get("except_") or ():
            name = column.this if isinstance(column, exp.Column) else column
            if not isinstance(name, exp.Identifier):
                self.give_up("EXCLUDE of something that is no name")
                continue
            table = column.args.get("table") if isinstance(column, exp.Column) else None
            key = self.reader.relations.key(name)
            excluded.add((self.reader.relations.key(table) if table is not None else "", key))
            shapes = [item.shape for item in items]
            if all(shape.certain and key not in shape.by_key(self.names) for shape in shapes):
                known = [field.name for shape in shapes for field in shape.fields if field.name is not None]
                self.reader.tracer.report_unknown(name, known, "EXCLUDE names an unknown column:")
        return excluded

    def _replaced(self, star: exp.Star) -> dict[str, Field]:
        replaced: dict[str, Field] = {}
        for item in star.args.get("replace") or ():
            alias = item.args.get("alias")
            if not isinstance(alias, exp.Identifier):
                self.give_up("REPLACE of something that is no name")
                continue
            field, several = self._value(item.this)
            if several:
                self.give_up(several)
            name = self.reader.relations.written(alias)
            replaced[self.names.key(name)] = field.named(name)
        return replaced

    def _renamed(self, star: exp.Star) -> dict[str, str]:
        renamed: dict[str, str] = {}
        for item in star.args.get("rename") or ():
            alias = item.args.get("alias")
            column = item.this
            if isinstance(alias, exp.Identifier) and isinstance(column, exp.Column) and not column.args.get("table"):
                renamed[self.reader.relations.key(column.this)] = self.reader.relations.written(alias)
            else:
                self.give_up("RENAME of something that is no name")
        return renamed

    def _qualified_star(self, column: exp.Column, star: exp.Star) -> None:
        table = column.args["table"]
        if column.args.get("db") is not None:
            self.give_up("* of a name in three parts")
            return
        items = self.scope.items_called(self.reader.relations.key(table))
        if not items:
            self.give_up(f"{table.name}.* of something that is no relation here")
            return
        self._star(star, items[:1], qualified=True)

    def give_up(self, because: str) -> None:
        self.more.add(-1)
        self.because = self.because or because


_SEVERAL_GROUPINGS = (exp.GroupingSets, exp.Cube, exp.Rollup)
_FILTERS = ("where", "having", "qualify")


def _has_inner_joins(select: exp.Select) -> bool:
    joins = select.args.get("joins") or ()
    return any(not join.args.get("side") and (join.args.get("on") or join.args.get("using")) for join in joins)


def _aliases_of(item: exp.Expr) -> list[exp.Identifier]:
    """The names that one item of a select list gives, also those in `* RENAME (a AS b)`."""
    star = item.this if isinstance(item, exp.Column) else item
    named = (star.args.get("rename") or ()) if isinstance(star, exp.Star) else (item,)
    aliases = [each.args.get("alias") for each in named if isinstance(each, exp.Alias)]
    return [alias for alias in aliases if isinstance(alias, exp.Identifier)]


_NAMED_BY_POSTGRES = (
    exp.Count, exp.Sum, exp.Min, exp.Max, exp.Avg, exp.Coalesce, exp.Case, exp.Upper, exp.Lower, exp.Greatest, exp.Least,
    exp.Round, exp.Abs, exp.Nullif, exp.Exists,
)  # fmt: skip
_WITH_UNDERSCORES: Mapping[type[exp.Expr], str] = {
    exp.RowNumber: "row_number",
    exp.Rank: "rank",
    exp.DenseRank: "dense_rank",
}


def _postgres_name(value: exp.Expr) -> str | None:
    while isinstance(value, (exp.Window, exp.Filter)):
        value = value.this
    if isinstance(value, exp.Cast) and isinstance(value.this, exp.Column) and not isinstance(value.this.this, exp.Star):
        name = value.this.this
        return (
            (name.name if name.args.get("quoted") else name.name.lower()) if isinstance(name, exp.Identifier) else None
        )
    if isinstance(value, _NAMED_BY_POSTGRES):
        return type(value).__name__.lower()
    return _WITH_UNDERSCORES.get(type(value))


def _gives_list(value: exp.Expr) -> bool:
    return isinstance(value, (exp.Array, exp.GenerateSeries, exp.Split, exp.ArrayAgg, exp.RegexpSplit))


def _pivot_name(pivot: exp.Expr) -> str:
    return "UNPIVOT" if pivot.args.get("unpivot") else "PIVOT"
