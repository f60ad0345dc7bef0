"""What must hold for built relations: names that the warehouse keeps whole, indexes and grants that it can make."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping

from sqlbuild.compiler.nearest_name import NearestName
from sqlbuild.compiler.node_columns import NodeColumns
from sqlbuild.compiler.relations import relation_of_model
from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import NodeId, Place, Relation, name_of
from sqlbuild.domain.nodes import (
    Asset,
    Declaration,
    Function,
    Loader,
    Model,
    Seed,
    Source,
    place_of_declaration,
)
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.relation_options import MAX_NAME_BYTES, Index, index_names
from sqlbuild.domain.settings import Target
from sqlbuild.domain.source_map import Expansion, written_at
from sqlbuild.errors import Problem
from sqlbuild.sql.index_keys import duckdb_can_make, is_quoted_key, name_of_key
from sqlbuild.sql.tokens import Token, TokenKind, UnclosedText, tokens

SHOWN_OF_A_NAME = 40

_FILE_FUNCTION = pattern(
    r"(?:read_(?:(?:csv|json|ndjson)(?:_auto)?|json_objects|parquet|text|blob)|parquet_scan)(?=\s*\()", re.IGNORECASE
)


def long_names(
    nodes: Mapping[NodeId, Declaration], columns: Mapping[NodeId, NodeColumns], target: Target
) -> Iterator[Problem]:
    """PostgreSQL cuts names off behind 63 bytes, and two that begin alike would be one."""
    if target.connection.adapter != "postgres":
        return
    yield from _long([("schema", target.schema)], f"target {target.name}", Place("sqlbuild_project.toml"))
    for node, declaration in nodes.items():
        known = columns.get(node)
        if isinstance(declaration, Asset) or known is None:
            continue
        place = place_of_declaration(declaration)
        named = [("relation", known.relation.name)] if known.relation is not None else []
        if known.relation is not None and known.relation.schema != target.schema:
            named.append(("schema", known.relation.schema))
        if isinstance(declaration, Model):
            named += [("index", index.name) for index in declaration.indexes if index.name is not None]
        named += [("column", column.name) for column in _all_columns(declaration, known)]
        yield from _long(named, name_of(node), place)


def _all_columns(declaration: Declaration, known: NodeColumns) -> tuple[Column, ...]:
    declared = declaration.columns if isinstance(declaration, Model | Source | Seed | Loader) else ()
    inferred = known.columns or ()
    return (*inferred, *(column for column in declared if column not in inferred))


def _long(named: Iterable[tuple[str, str]], owner: str, place: Place) -> Iterator[Problem]:
    for what, name in dict.fromkeys(named):
        size = len(name.encode(errors="surrogatepass"))
        if size > MAX_NAME_BYTES:
            message = f"{owner}: the name of the {what} {name[:SHOWN_OF_A_NAME]}... has {size} bytes"
            help = f"PostgreSQL keeps {MAX_NAME_BYTES} bytes of a name: choose a shorter one"
            yield _problem("LONG_NAME", message, help, place)


def other_databases(nodes: Mapping[NodeId, Declaration], target: Target) -> Iterator[Problem]:
    """A connection to PostgreSQL reaches one database."""
    if target.connection.adapter != "postgres":
        return
    for node, declaration in nodes.items():
        if isinstance(declaration, Model | Source | Seed | Function) and declaration.database:
            message = (
                f"{name_of(node)} names the database {declaration.database}: a connection to PostgreSQL reaches its own"
            )
            help = "remove `database`; another database is another connection, and another target"
            yield _problem("OTHER_DATABASE", message, help, declaration.place)


def impossible_indexes(
    nodes: Mapping[NodeId, Declaration], columns: Mapping[NodeId, NodeColumns], target: Target
) -> Iterator[Problem]:
    """Indexes are of tables, of columns that are there, and their names are given once in a schema."""
    dialect = target.connection.adapter
    relations = {
        _key(known.relation): node
        for node, known in columns.items()
        if known.relation is not None and isinstance(nodes[node], Model | Seed)
    }
    taken: dict[tuple[str, str], NodeId] = {}
    for node, model in nodes.items():
        if not isinstance(model, Model) or not model.indexes:
            continue
        if not model.is_table:
            message = f"{name_of(node)} is a view, which has no indexes"
            help = "write `materialized table`, or remove `indexes`"
            yield _problem("VIEW_INDEX", message, help, model.indexes[0].place)
            continue
        relation = relation_of_model(model, target)
        for name, index in zip(index_names(relation.name, model.indexes), model.indexes, strict=True):
            yield from _unknown_columns(name_of(node), index, columns.get(node), dialect)
            key = _key(Relation("", relation.schema, name))
            other = taken.setdefault(key, node) if key not in relations else relations[key]
            if (
                other != node
                or key in relations
                or (index.name and [each.name for each in model.indexes].count(name) > 1)
            ):
                what = "the table or view" if key in relations else "an index"
                message = (
                    f"{name_of(node)} has an index {name}, which is also {what} of {name_of(other)} in that schema"
                )
                yield _problem("DUPLICATE_INDEX", message, "give it another `name`", index.place)


def _unknown_columns(owner: str, index: Index, known: NodeColumns | None, dialect: str) -> Iterator[Problem]:
    if known is None or not known.complete or known.columns is None:
        return
    folds = dialect == "duckdb"
    there = {column.name.lower() if folds else column.name for column in known.columns}
    nearest = NearestName(column.name for column in known.columns)
    for text in (*index.columns, *index.include):
        written = name_of_key(text)
        if written is None:
            continue
        name = written if is_quoted_key(text) and not folds else written.lower()
        if name not in there:
            message = f"{owner}: an index is made of the column {name}, which the query does not give"
            help = nearest.help(name, "name a column of the query; an expression stands in brackets")
            yield _problem("UNKNOWN_COLUMN", message, help, index.place)


def ignored_by_duckdb(nodes: Mapping[NodeId, Declaration], target: Target) -> Iterator[Problem]:
    """One warning for all grants, one for all indexes that DuckDB does not know: no row is another without them."""
    if target.connection.adapter != "duckdb":
        return
    models = [model for model in nodes.values() if isinstance(model, Model)]
    granting = [model for model in models if model.grants]
    indexed = [model for model in models if not all(map(duckdb_can_make, model.indexes))]
    if granting:
        yield _left_out(granting, "declares grants", granting[0].place)
    if indexed:
        first = next(index for index in indexed[0].indexes if not duckdb_can_make(index))
        yield _left_out(indexed, "declares an index with `where`, `using`, `include` or an operator class", first.place)


def files_read_on_postgres(nodes: Mapping[NodeId, Declaration], target: Target) -> Iterator[Problem]:
    """Functions of DuckDB that read files are called in a project that is built on PostgreSQL."""
    if target.connection.adapter != "postgres":
        return
    for declaration in nodes.values():
        expansions: tuple[Expansion, ...] = ()
        if isinstance(declaration, Source) and declaration.expression:
            sql, line = declaration.expression, declaration.expression_line
        elif isinstance(declaration, Model | Function):
            sql, line, expansions = declaration.sql, declaration.sql_line, declaration.expansions
        else:
            continue
        called = _file_function(sql)
        if called is not None:
            begin = Place(declaration.place.path, line)
            yield Problem(
                code="UNSUPPORTED",
                message=f"{declaration.name} calls {called.text}, with which DuckDB reads files and PostgreSQL cannot",
                help="let a loader fill a table with what is in the file, and read that as a managed source",
                path=declaration.place.path,
                line=written_at(sql, begin, expansions, called.start).place.line,
                severity="warning",
            )


def _file_function(sql: str) -> Token | None:
    if _FILE_FUNCTION.search(sql) is None:
        return None
    before = ""
    with contextlib.suppress(UnclosedText):
        for token in tokens(sql):
            # With a schema it is somebody's own.
            if token.kind is TokenKind.WORD and before != "." and _FILE_FUNCTION.match(sql, token.start):
                return token
            before = token.text
    return None


def _left_out(models: list[Model], does: str, place: Place) -> Problem:
    others = f" (and {len(models) - 1} more)" if len(models) > 1 else ""
    return Problem(
        code="UNSUPPORTED",
        message=f"{models[0].name}{others} {does}, which DuckDB does not have: it is left out",
        help="nothing else changes; on PostgreSQL it is made",
        path=place.path,
        line=place.line,
        column=place.column,
        severity="warning",
    )


def _key(relation: Relation) -> tuple[str, str]:
    return (relation.schema.lower(), relation.name.lower())


def _problem(code: str, message: str, help: str, place: Place) -> Problem:
    return Problem(code=code, message=message, help=help, path=place.path, line=place.line, column=place.column)
