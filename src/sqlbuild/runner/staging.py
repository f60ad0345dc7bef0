"""Names of the relations in which rows wait until they are swapped in; each says whose run they are of."""

from __future__ import annotations

import hashlib

from sqlbuild.domain.ids import Relation
from sqlbuild.errors import WarehouseError
from sqlbuild.interfaces.warehouse import Connection
from sqlbuild.sql.rendering import quote_relation

STAGING_PREFIX = "_sqlbuild_staging__"
_END_OF_RUN = "__"
_REBUILT = "__rebuilt"
_LONGEST = 63
"""Bytes of a name in PostgreSQL, which cuts longer ones off."""
_MARK = 8


def staging_name(run_id: str, relation_name: str) -> str:
    """In lower case, as `Warehouse.relations` tells it, and short enough for every warehouse."""
    name = f"{STAGING_PREFIX}{run_id}{_END_OF_RUN}{relation_name}".lower()
    if len(name.encode()) <= _LONGEST:
        return name
    mark = hashlib.sha256(relation_name.lower().encode()).hexdigest()[:_MARK]
    end = _REBUILT if relation_name.endswith(_REBUILT) else ""
    kept = name.encode()[: _LONGEST - _MARK - 1 - len(end)].decode(errors="ignore")
    return f"{kept}_{mark}{end}"


def rebuild_name(run_id: str, relation_name: str) -> str:
    """Of a table that is built beside the one it will replace, batch by batch: whoever resumes the run goes on with it."""
    return staging_name(run_id, f"{relation_name}{_REBUILT}")


def is_rebuild(name: str) -> bool:
    return name.endswith(_REBUILT)


def run_of_staging(name: str) -> str | None:
    """The id of a run in lower case, from a name that `staging_name` has made; None for any other.

    Empty for one without a run, as sqlbuild has named them before.
    """
    if not name.startswith(STAGING_PREFIX):
        return None
    run_id, end, _ = name.removeprefix(STAGING_PREFIX).partition(_END_OF_RUN)
    return run_id if end else ""


async def drop_staged(connection: Connection, staged: Relation, *, may_be_view: bool = True) -> None:
    """Drop a table or view, if it is there. Raises WarehouseError."""
    name = quote_relation(staged)
    try:
        await connection.execute(f"DROP TABLE IF EXISTS {name}")
    except WarehouseError:
        if not may_be_view:
            raise
        await connection.execute(f"DROP VIEW IF EXISTS {name}")
