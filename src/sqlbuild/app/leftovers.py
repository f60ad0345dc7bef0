"""What runs and commands that are not alive any more have left unfinished: found by its name, removed, and told."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable

from sqlbuild.app.history_sources import is_alive
from sqlbuild.app.live_runs import live_runs
from sqlbuild.app.wiring import lock_is_of_schema, remove_export_leftovers
from sqlbuild.app.wording import counted, first_few
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.settings import Settings
from sqlbuild.errors import WarehouseError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.warehouse import Warehouse
from sqlbuild.runner.staging import drop_staged, is_rebuild, run_of_staging
from sqlbuild.state.journal import FILE_NAME, journal_has_ended, target_of_journal

_NAMED = 3
_UNFINISHED_FILE = pattern(r".+\.(\d+)\.(?:tmp|part)")


async def remove_leftovers(
    root: str,
    settings: Settings,
    warehouse: Warehouse,
    relations: Iterable[Relation],
    *,
    nobody_else: bool = False,
    goes_on_with: str | None = None,
) -> tuple[str, ...]:
    """Remove what dead runs have left in the target's warehouse, beside their exports and in target/.

    Returns names of relations and paths. Only for whoever holds the lock of the target: then no other run of it goes
    on. `relations` are those of the warehouse; `nobody_else`: of no other target of the project a run goes on either.
    The run `goes_on_with` is about to be resumed: it goes on with tables that it has half built.
    """
    failpoint("leftovers.found")
    runs = os.path.join(root, "target", "runs")
    tables = await _drop_staging(root, settings, warehouse, relations, (goes_on_with or "").lower())
    may_be_alive = functools.partial(_may_be_alive, runs, None if nobody_else else settings.target.name)
    exports = remove_export_leftovers(runs, may_be_alive)
    files = (*exports, *_remove_unfinished_files(os.path.join(root, "target")))
    return (*map(str, tables), *_within(root, files))


def told_leftovers(removed: tuple[str, ...]) -> str:
    """One line about what `remove_leftovers` has removed."""
    what = counted(len(removed), "unfinished table or file", "unfinished tables and files")
    return f"removed {what} of dead runs: {first_few(removed, _NAMED)}"


async def _drop_staging(
    root: str, settings: Settings, warehouse: Warehouse, relations: Iterable[Relation], goes_on_with: str
) -> list[Relation]:
    stale = [(found, run) for found in relations if (run := run_of_staging(found.name)) is not None]
    if not stale:
        return []
    is_ours = _of_the_schema(root, settings) if lock_is_of_schema(settings) else _of_the_database(settings)
    dropped: list[Relation] = []
    connection = warehouse.connect()
    try:
        for found, run in sorted(stale, key=str):
            if not is_ours(found, run) or (run == goes_on_with and is_rebuild(found.name)):
                continue
            schema = settings.target.schema if found.schema == settings.target.schema.lower() else found.schema
            # What is called so and is neither table nor view is none of ours.
            with contextlib.suppress(WarehouseError):
                await drop_staged(connection, Relation(found.database, schema, found.name), may_be_view=bool(run))
                dropped.append(found)
    finally:
        await connection.close()
    return dropped


def _of_the_database(settings: Settings) -> Callable[[Relation, str], bool]:
    """All targets in one database share its lock, so that whose schema a table is in does not matter."""
    databases = ("", settings.target.database.lower())
    live = {run.lower() for run in live_runs(settings).run_ids}
    return lambda found, run: found.database in databases and run not in live


def _of_the_schema(root: str, settings: Settings) -> Callable[[Relation, str], bool]:
    """Others may build into other schemas now, or into this one for a target of their own: theirs are left alone."""
    runs = os.path.join(root, "target", "runs")
    names = {name.lower(): name for name in (os.listdir(runs) if os.path.isdir(runs) else ())}

    def is_ours(found: Relation, run: str) -> bool:
        name = names.get(run)
        target = target_of_journal(os.path.join(runs, name, FILE_NAME)) if name is not None else None
        if target is not None:
            return target == settings.target.name
        return found.schema == settings.target.schema.lower()

    return is_ours


def _within(root: str, paths: Iterable[str]) -> Iterable[str]:
    return (os.path.relpath(path, root) for path in paths)


def _may_be_alive(runs: str, target: str | None, run_id: str) -> bool:
    """Whoever holds the lock of `target` knows that no other run of it goes on; of others it is known that they ended.
    Without a target nobody is alive."""
    if target is None:
        return False
    path = os.path.join(runs, run_id, FILE_NAME)
    return target_of_journal(path) != target and not journal_has_ended(path)


def _remove_unfinished_files(folder: str) -> list[str]:
    """Files that a process was writing when it was killed; others may be writing theirs."""
    removed: list[str] = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        found = _UNFINISHED_FILE.fullmatch(name)
        if found is not None and not is_alive(int(found[1])):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                os.unlink(path)
                removed.append(path)
    return removed
