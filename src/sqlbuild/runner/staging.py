"""Names of the tables in which rows wait until they are swapped in; each says whose run they are of."""

from __future__ import annotations

STAGING_PREFIX = "_sqlbuild_staging__"
_END_OF_RUN = "__"


def staging_name(run_id: str, relation_name: str) -> str:
    """In lower case, as `Warehouse.relations` tells it."""
    return f"{STAGING_PREFIX}{run_id}{_END_OF_RUN}{relation_name}".lower()


def run_of_staging(name: str) -> str | None:
    """The id of a run in lower case, from a name that `staging_name` has made; None for any other.

    Empty for one without a run, as sqlbuild has named them before.
    """
    if not name.startswith(STAGING_PREFIX):
        return None
    run_id, end, _ = name.removeprefix(STAGING_PREFIX).partition(_END_OF_RUN)
    return run_id if end else ""
