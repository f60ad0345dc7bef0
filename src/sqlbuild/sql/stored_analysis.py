"""Analyses as text, and the keys under which they can be kept. Does not need the parser."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from sqlbuild.errors import SqlbuildError
from sqlbuild.sql.query_analysis import Finding, InputReference, NamedTable, OutputColumn, QueryAnalysis, QueryInput

ANALYSIS_VERSION = 3
"""To be raised whenever the same SQL would be analysed differently."""


def input_digest(query_input: QueryInput) -> bytes:
    """Changes with everything about an input that can change an analysis."""
    parts = [query_input.label, query_input.alias, "complete" if query_input.complete else "open"]
    if query_input.scalar:
        parts.append("scalar")
    for name, type_name in query_input.columns:
        parts += (name, type_name or "")
    for name, nullable in sorted(query_input.nullable.items()):
        parts += (name, "null" if nullable else "not null")
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


def digest_key(sql: str) -> str:
    """Under which the canonical digest of `sql` can be kept."""
    text = f"canonical digest {ANALYSIS_VERSION}\x1f{sql}"
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


class UnreadableAnalysis(SqlbuildError):
    """A cached text is not an analysis."""


def analysis_to_json(analysis: QueryAnalysis) -> str:
    columns = (
        None
        if analysis.columns is None
        else [
            [column.name, column.type, column.sources, column.transform, column.nullable] for column in analysis.columns
        ]
    )
    findings = [
        [found.code, found.message, found.help, found.line, found.column, found.certain] for found in analysis.findings
    ]
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
                OutputColumn(name, type_name, tuple(map(tuple, sources)), transform, nullable)
                for name, type_name, sources, transform, nullable in columns
            ),
            notes=tuple(notes),
            findings=tuple(
                Finding(code=code, message=message, help=help, line=line, column=column, certain=certain)
                for code, message, help, line, column, certain in findings
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
