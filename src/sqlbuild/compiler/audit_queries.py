"""The query of an audit: which relations it reads, and where the one that it is attached to stands in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from sqlbuild.domain.nodes import Audit
from sqlbuild.refs import Reference
from sqlbuild.sql.analyse_query import canonical_digest
from sqlbuild.sql.rendering import Readable, quote_relation, render_references

_HOLE = '"\x00"'
DIGEST_BYTES = 16


def audit_query(audit: Audit, readables: Mapping[Reference, Readable]) -> tuple[str, tuple[str, ...]]:
    """The query with every reference that `readables` knows replaced, and of an audit of a model its pieces between
    which that stands: it may be read under another name, and keeps its own as an alias."""
    target = readables.get(audit.target) if audit.target is not None and audit.target.kind == "model" else None
    if target is None or target.relation is None or audit.target is None:
        return render_references(audit.sql, audit.references, readables), ()
    hole = Readable(alias=target.alias, query=_HOLE)
    around = tuple(render_references(audit.sql, audit.references, {**readables, audit.target: hole}).split(_HOLE))
    return quote_relation(target.relation).join(around), around


def digest_of_audit(audit: Audit) -> str:
    """Of what the author wrote."""
    if audit.sql_place.path:
        return canonical_digest(audit.sql)
    return hashlib.blake2b(audit.sql.encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()
