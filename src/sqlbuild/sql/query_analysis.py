"""What can be found out about a query without asking the warehouse, as plain records.

`analyse_query` is the one entry. Only when it is called the SQL parser is loaded; who finds the answer in a cache,
under `analysis_key`, never loads it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence

from sqlbuild.errors import SqlbuildError
from sqlbuild.sql.canonical_form import canonical_form

ANALYSIS_VERSION = 1
"""To be raised whenever the same SQL would be analysed differently."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class QueryInput:
    """One relation that a query reads, as far as its columns are known.

    `complete` says that it has no other columns than `columns`. `label` is how messages call it. `alias` is the name
    under which the SQL can qualify its columns unless it gives another.
    """

    label: str
    alias: str
    columns: tuple[tuple[str, str | None], ...] = ()
    complete: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class InputReference:
    """A piece of the query's text, from `start` to `end`, that stands for an input (an index)."""

    start: int
    end: int
    input: int


@dataclasses.dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of the result; `sources` are the columns of inputs (index, name) that its values are made of."""

    name: str
    type: str | None
    sources: tuple[tuple[int, str], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong in the query's text; `line` and `column` count from 1 in that text."""

    code: str
    message: str
    help: str = ""
    line: int | None = None
    column: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NamedTable:
    """A table that the query names by itself, where a reference to a project's node may have been meant."""

    database: str
    schema: str
    name: str
    line: int
    column: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class QueryAnalysis:
    canonical_digest: str
    """Of the query's canonical text; the same as long as only blanks, comments or the case of keywords change."""
    columns: tuple[OutputColumn, ...] | None = None
    """None where their names are not sure; `notes` say why."""
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    tables: tuple[NamedTable, ...] = ()


def analyse_query(
    sql: str, references: Sequence[InputReference], inputs: Sequence[QueryInput], dialect: str
) -> QueryAnalysis:
    """Output columns, column lineage and what is wrong with `sql`, a query with `references` in it.

    Never raises for the text of a query: what cannot be analysed has no columns and a note.
    """
    from sqlbuild.sql.output_columns import find_output_columns

    digest = canonical_digest(sql)
    text = mask_references(sql, references)
    found = find_output_columns(text, inputs, dialect)
    return dataclasses.replace(found, canonical_digest=digest)


def canonical_digest(sql: str) -> str:
    return hashlib.blake2b(canonical_form(sql).encode(), digest_size=16).hexdigest()


MASK_LETTER = "@"


def mask_references(sql: str, references: Sequence[InputReference]) -> str:
    """`sql` with a quoted name of the same length in place of every reference, so that all offsets stay right."""
    parts: list[str] = []
    position = 0
    for reference in sorted(references, key=lambda found: found.start):
        length = reference.end - reference.start
        parts.append(sql[position : reference.start])
        parts.append('"' + f"{MASK_LETTER}{reference.input:0{length - 3}}" + '"')
        position = reference.end
    parts.append(sql[position:])
    return "".join(parts)


def masked_input(name: str) -> int | None:
    """The input for which `mask_references` wrote `name`, or None."""
    return int(name[1:]) if name.startswith(MASK_LETTER) and name[1:].isdecimal() else None


def input_digest(query_input: QueryInput) -> bytes:
    """Changes with everything about an input that can change an analysis."""
    parts = [query_input.label, query_input.alias, "complete" if query_input.complete else "open"]
    for name, type_name in query_input.columns:
        parts += (name, type_name or "")
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).digest()


def analysis_key(
    sql: str, references: Sequence[InputReference], inputs: Sequence[bytes], *, dialect: str, parser: str
) -> str:
    """Under which an analysis can be kept; `inputs` are their digests, `parser` the parser's version."""
    hashed = hashlib.blake2b(f"{ANALYSIS_VERSION}\x1f{parser}\x1f{dialect}\x1f".encode(), digest_size=16)
    hashed.update(repr([(found.start, found.input) for found in references]).encode())
    for digest in inputs:
        hashed.update(digest)
    hashed.update(sql.encode(errors="surrogatepass"))
    return hashed.hexdigest()


class UnreadableAnalysis(SqlbuildError):
    """A cached text is not an analysis."""


def analysis_to_json(analysis: QueryAnalysis) -> str:
    columns = (
        None
        if analysis.columns is None
        else [[column.name, column.type, column.sources] for column in analysis.columns]
    )
    findings = [[found.code, found.message, found.help, found.line, found.column] for found in analysis.findings]
    tables = [[table.database, table.schema, table.name, table.line, table.column] for table in analysis.tables]
    content = [analysis.canonical_digest, columns, analysis.notes, findings, tables]
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def analysis_from_json(text: str) -> QueryAnalysis:
    """The inverse of `analysis_to_json`. Raises UnreadableAnalysis for anything else."""
    try:
        digest, columns, notes, findings, tables = json.loads(text)
        return QueryAnalysis(
            canonical_digest=str(digest),
            columns=None
            if columns is None
            else tuple(
                OutputColumn(name, type_name, tuple([(int(index), column) for index, column in sources]))
                for name, type_name, sources in columns
            ),
            notes=tuple(notes),
            findings=tuple(
                Finding(code=code, message=message, help=help, line=line, column=column)
                for code, message, help, line, column in findings
            ),
            tables=tuple(NamedTable(*table) for table in tables),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UnreadableAnalysis(f"not an analysis: {error}") from None


def parser_version() -> str:
    """The installed SQL parser's version, without loading the parser."""
    import importlib.util

    package = importlib.util.find_spec("sqlglot")
    places = package.submodule_search_locations if package is not None else None
    for place in places or ():
        spec = importlib.util.spec_from_file_location("sqlglot_version", f"{place}/_version.py")
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except OSError:
            continue
        return str(getattr(module, "__version__", ""))
    import importlib.metadata

    return importlib.metadata.version("sqlglot")
