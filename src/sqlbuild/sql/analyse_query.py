"""The one entry to what can be found out about a query."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence

from sqlbuild.sql.canonical_form import canonical_form
from sqlbuild.sql.query_analysis import InputReference, Query, QueryAnalysis, QueryInput, mask_references
from sqlbuild.sql.stored_analysis import analysis_to_json

AnalyseAll = Callable[[Sequence[Query]], list[str]]
"""Does what `analysis_text` does for each of many queries, in their order."""


def analyse_query(
    sql: str,
    references: Sequence[InputReference],
    inputs: Sequence[QueryInput],
    dialect: str,
    arguments: QueryInput | None = None,
) -> QueryAnalysis:
    """Output columns, column lineage and what is wrong with `sql`, a query with `references` in it.

    `arguments` are what names can also mean that are no columns, in the SQL of a function.

    Only when it is called the SQL parser is loaded: who finds the answer in a cache (see `stored_analysis`) never does.
    Never raises for the text of a query: what cannot be analysed has no columns and a note.
    """
    from sqlbuild.sql.output_columns import find_output_columns

    digest = canonical_digest(sql)
    text = mask_references(sql, references)
    found = find_output_columns(text, inputs, dialect, arguments)
    return dataclasses.replace(found, canonical_digest=digest)


def canonical_digest(sql: str) -> str:
    return hashlib.blake2b(canonical_form(sql).encode(), digest_size=16).hexdigest()


def analysis_text(query: Query) -> str:
    """The analysis as it is kept: see `stored_analysis`."""
    analysis = analyse_query(query.sql, query.references, query.inputs, query.dialect, query.arguments)
    return analysis_to_json(analysis)
