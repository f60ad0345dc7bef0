"""The analysis of queries, each done once and then kept by what it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlbuild.interfaces.analysis_cache import AnalysisCache
from sqlbuild.sql.analyse_query import AnalyseAll, analyse_query, canonical_digest
from sqlbuild.sql.query_analysis import InputReference, Query, QueryAnalysis, QueryInput
from sqlbuild.sql.stored_analysis import (
    UnreadableAnalysis,
    analysis_from_json,
    analysis_key,
    analysis_to_json,
    digest_key,
    input_digest,
    parser_version,
)


class KeyedQuery(NamedTuple):
    """`key`: under which its analysis is kept."""

    key: str
    query: Query


class CachedAnalysis:
    """Only for what is not in `cache` the SQL parser is loaded."""

    def __init__(self, cache: AnalysisCache, dialect: str) -> None:
        self._cache = cache
        self._dialect = dialect
        self._parser = ""

    def canonical_digest(self, sql: str) -> str:
        """That of `sql.analyse_query`; to look it up costs less than to read the tokens of a long text."""
        key = digest_key(sql)
        digest = self._cache.load(key)
        if digest is None:
            digest = canonical_digest(sql)
            self._cache.store(key, digest)
        return digest

    def analyse(
        self,
        sql: str,
        references: Sequence[InputReference] = (),
        inputs: Sequence[QueryInput] = (),
        digests: Sequence[bytes] = (),
        arguments: QueryInput | None = None,
    ) -> QueryAnalysis:
        """What can be found out about `sql`; `digests` are those of the `inputs` that its result depends on.

        `arguments` are those of the function whose query it is.
        """
        return self.of(self.keyed(sql, references, inputs, digests, arguments))

    def keyed(
        self,
        sql: str,
        references: Sequence[InputReference],
        inputs: Sequence[QueryInput],
        digests: Sequence[bytes],
        arguments: QueryInput | None = None,
    ) -> KeyedQuery:
        """What `of` and `prepare` take; see `analyse`."""
        self._parser = self._parser or parser_version()
        if arguments is not None:
            digests = (*digests, b"arguments", input_digest(arguments))
        query = Query(
            sql=sql, dialect=self._dialect, references=tuple(references), inputs=tuple(inputs), arguments=arguments
        )
        return KeyedQuery(analysis_key(sql, references, digests, dialect=self._dialect, parser=self._parser), query)

    def of(self, keyed: KeyedQuery) -> QueryAnalysis:
        cached = self._cache.load(keyed.key)
        if cached is not None:
            try:
                return analysis_from_json(cached)
            except UnreadableAnalysis:
                pass
        query = keyed.query
        analysis = analyse_query(query.sql, query.references, query.inputs, query.dialect, query.arguments)
        self._cache.store(keyed.key, analysis_to_json(analysis))
        return analysis

    def prepare(self, queries: Iterable[KeyedQuery], analyse_all: AnalyseAll) -> None:
        """Have those analysed that are not in the cache: then `of` finds them all there."""
        missing = {each.key: each.query for each in queries if self._cache.load(each.key) is None}
        if missing:
            for key, text in zip(missing, analyse_all(tuple(missing.values())), strict=True):
                self._cache.store(key, text)
