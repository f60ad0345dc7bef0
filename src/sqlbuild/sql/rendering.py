"""SQL text from names: quoting, and references replaced by what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.record import record
from sqlbuild.domain.sql_reference import SqlReference
from sqlbuild.refs import Reference
from sqlbuild.sql.tokens import RESERVED_WORDS, Token, TokenKind, UnclosedText, tokens

_STARTS_OF_A_QUERY = frozenset({"select", "with", "from", "values", "("})


@record(frozen=True, slots=True, kw_only=True)
class Readable:
    """What stands in a model's FROM clause for a reference: a relation, or a query in brackets.

    `alias` is the name by which the surrounding SQL may qualify columns if it gives none itself.
    """

    alias: str
    relation: Relation | None = None
    query: str | None = None

    @property
    def in_from_clause(self) -> str:
        """As it may stand there by itself."""
        if self.query is None:
            assert self.relation is not None
            return quote_relation(self.relation)
        return f"{self.query} AS {quote_identifier(self.alias)}"


def quote_identifier(name: str) -> str:
    """`name` as a SQL identifier; the only place where names become SQL."""
    return '"' + name.replace('"', '""') + '"'


def quote_relation(relation: Relation) -> str:
    """Qualified and quoted, without the parts that are empty."""
    return ".".join(quote_identifier(part) for part in (relation.database, relation.schema, relation.name) if part)


def render_source_expression(expression: str) -> str:
    """A source's SQL expression as a query in brackets that can stand in a FROM clause.

    `read_csv('x.csv')` becomes `(SELECT * FROM read_csv('x.csv'))`. The result is one line, unless a string in it
    has several, so that line numbers in what it is put into stay as they are.
    """
    return f"({query_of_expression(one_line(expression))})"


def query_of_expression(expression: str) -> str:
    """A source's SQL expression as a query; its line numbers stay as they are."""
    try:
        first = next(tokens(expression), None)
    except UnclosedText:
        return expression
    if first is None or first.text.lower() in _STARTS_OF_A_QUERY:
        return expression
    return f"SELECT * FROM {expression}"


def is_query_text(sql: str) -> bool:
    """Whether it begins as a query does, and not as an expression; one in brackets may be either."""
    try:
        first = next(tokens(sql), None)
    except UnclosedText:
        return False
    return first is not None and first.text != "(" and first.text.lower() in _STARTS_OF_A_QUERY


Edit = tuple[int, int, str]
"""From an offset up to another, and the text that is to stand there."""


def render_references(sql: str, references: Iterable[SqlReference], readables: Mapping[Reference, Readable]) -> str:
    """`sql` with every reference that `readables` knows replaced; line breaks stay where they are."""
    return edited(sql, reference_edits(sql, references, readables))


def reference_edits(
    sql: str, references: Iterable[SqlReference], readables: Mapping[Reference, Readable]
) -> list[Edit]:
    """What replaces references that `readables` knows, in their order."""
    return sorted(
        (found.start, found.end, _render_readable(readable, sql, found.end))
        for found in references
        if (readable := readables.get(found.reference)) is not None
    )


def edited(sql: str, edits: Iterable[Edit]) -> str:
    """With all edits, which are in their order, made."""
    parts: list[str] = []
    position = 0
    for start, end, text in edits:
        parts += [sql[position:start], text]
        position = end
    parts.append(sql[position:])
    return "".join(parts)


def _render_readable(readable: Readable, sql: str, end: int) -> str:
    if readable.query is not None and has_alias_behind(sql, end):
        return readable.query
    return readable.in_from_clause


def has_alias_behind(sql: str, end: int) -> bool:
    """Whether the token at or after offset `end` gives an alias to what stands before it."""
    try:
        token = next(tokens(sql, end), None)
    except UnclosedText:
        return False
    if token is None or token.kind not in (TokenKind.WORD, TokenKind.QUOTED):
        return False
    return token.kind is TokenKind.QUOTED or token.text.lower() == "as" or token.text.lower() not in RESERVED_WORDS


def render_casts(query: str, columns: Sequence[Column]) -> str:
    """`query` (a SELECT, or anything that may stand in a FROM clause) with the columns that declare a type cast to it.

    The line numbers of `query` stay as they are. Without a declared type the query comes back unchanged. Needs DuckDB.
    """
    casts = ", ".join(_cast(column) for column in columns if column.type)
    if not casts:
        return query
    return f"SELECT * REPLACE ({casts}) FROM {query}"


def render_columns(query: str, columns: Sequence[Column]) -> str:
    """These columns of `query` and no others, cast where they declare a type; any warehouse takes it.

    `query` may stand in a FROM clause: one in brackets has an alias. Its line numbers stay as they are.
    """
    listed = ", ".join(_cast(column) if column.type else quote_identifier(column.name) for column in columns)
    return f"SELECT {listed} FROM {query}"


def _cast(column: Column) -> str:
    name = quote_identifier(column.name)
    return f"CAST({name} AS {column.type}) AS {name}"


def render_readable_anywhere(expression: str, alias: str) -> str:
    """A source's SQL expression for PostgreSQL, which before version 16 reads no query that has no alias.

    Once `render_source_expression` has put it in brackets it may be read with an alias and without one: a join in
    brackets needs none, and the second side of this one has no columns.
    """
    return f'{render_source_expression(expression)} AS {quote_identifier(alias)} CROSS JOIN (SELECT) AS "_"'


def in_brackets(query: str) -> str:
    """`(query)`, safe for a query that ends with a comment; its line numbers stay as they are."""
    return f"({query}\n)" if _may_end_in_comment(query) else f"({query})"


def _may_end_in_comment(query: str) -> bool:
    return "--" in query.rpartition("\n")[2]


def one_line(sql: str) -> str:
    """`sql` without comments and line breaks; strings stay as they are. Text that cannot be read comes back as it is."""
    parts: list[str] = []
    before: Token | None = None
    try:
        for token in tokens(sql):
            if before is not None and token.start > before.end:
                parts.append(" ")
            parts.append(token.text)
            before = token
    except UnclosedText:
        return sql
    while parts and parts[-1] in (";", " "):
        parts.pop()
    return "".join(parts)
