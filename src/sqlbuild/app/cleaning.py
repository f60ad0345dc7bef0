"""`sqb clean`: what earlier runs left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import shutil
from collections.abc import Iterator

from sqlbuild.app.event_loop import run_async
from sqlbuild.app.leftovers import remove_leftovers
from sqlbuild.app.options import ProjectOptions
from sqlbuild.app.resuming import look_after_lost_runs
from sqlbuild.app.run_folders import RunFolders, UnfinishedRun, look_through_runs
from sqlbuild.app.target_access import Patience
from sqlbuild.app.wiring import make_access, make_store, make_warehouse
from sqlbuild.domain.events import Event
from sqlbuild.domain.past import Past
from sqlbuild.domain.record import record
from sqlbuild.domain.settings import Settings
from sqlbuild.errors import ProjectError, TargetLocked, WarehouseUnreachable
from sqlbuild.project.settings_file import read_settings

_RUNS = "runs"
_IGNORE = ".gitignore"


@record(frozen=True, slots=True, kw_only=True)
class CleanReport:
    """Paths relative to the project root and names of relations.

    `kept`: what belongs to runs that could be gone on with or go on.
    """

    removed: tuple[str, ...]
    kept: tuple[str, ...]


@record(frozen=True, slots=True, kw_only=True)
class Losses:
    """What removing everything would remove: runs that could be gone on with, how many others, and paths relative to
    the project root."""

    unfinished: tuple[UnfinishedRun, ...]
    ended: int
    paths: tuple[str, ...]

    @property
    def something(self) -> bool:
        return bool(self.unfinished or self.ended or self.paths)


def losses_of_clean(options: ProjectOptions, patience: Patience) -> Losses:
    """Look without changing anything. Raises TargetLocked while a run goes on, in whatever target of the project."""
    losses: Losses = run_async(_look, _settings(options), options.root, patience, backend="asyncio")
    return losses


def clean(
    options: ProjectOptions, *, give_up: frozenset[str] = frozenset(), everything: bool, patience: Patience
) -> CleanReport:
    """Remove what dead runs have left and `target/`, but not runs that could be gone on with, unless they are in
    `give_up`; a database inside target/ is never touched.

    `everything`: raises TargetLocked while a run goes on, in whatever target of the project.
    """
    report: CleanReport = run_async(
        _clean, _settings(options), options.root, give_up, everything, patience, backend="asyncio"
    )
    return report


def _settings(options: ProjectOptions) -> Settings:
    settings, problems = read_settings(options.root, target=options.target, vars=options.vars, environ=options.environ)
    options.masker.add(settings.secrets)
    if any(problem.severity == "error" for problem in problems):
        raise ProjectError(problems)
    return settings


async def _look(settings: Settings, root: str, patience: Patience) -> Losses:
    await _wait_for_other_targets(settings, patience)
    past = Past()
    access = make_access(settings, "sqb clean", patience)
    try:
        await access.wait_for_writers()
        warehouse = make_warehouse(settings, root)
        if warehouse.exists():
            await access.open(warehouse, read_only=True)
            past = await make_store(warehouse, settings).past()
    finally:
        await access.close()
    found = look_through_runs(root, settings, past, warehouse_is_there=warehouse.exists())
    _refuse_live(found)
    return Losses(
        unfinished=found.unfinished,
        ended=len(found.ended),
        paths=_paths(root, settings),
    )


def _paths(root: str, settings: Settings) -> tuple[str, ...]:
    return tuple(
        os.path.relpath(entry.path, root) for entry in _removable(root, settings) if entry.name not in (_RUNS, _IGNORE)
    )


def _nobody(_event: Event) -> None:
    """That a run could be gone on with is not told of one that is removed."""


async def _clean(
    settings: Settings, root: str, give_up: frozenset[str], everything: bool, patience: Patience
) -> CleanReport:
    if everything:
        await _wait_for_other_targets(settings, patience)
    access = make_access(settings, "sqb clean", patience)
    try:
        await access.lock_for_writing()
        warehouse = make_warehouse(settings, root)
        past = Past()
        if warehouse.exists():
            await access.open(warehouse)
            store = make_store(warehouse, settings)
            publish = _nobody if everything else patience.publish
            now = datetime.datetime.now(datetime.UTC).timestamp()
            await look_after_lost_runs(root, settings.target.name, store, publish, now)
            past = await store.past()
        found = look_through_runs(root, settings, past, warehouse_is_there=warehouse.exists())
        if everything:
            _refuse_live(found)
        removed = await remove_leftovers(root, settings, warehouse, past.relations, nobody_else=everything)
        return _clean_target(root, settings, found, give_up, removed)
    finally:
        await access.close()


async def _wait_for_other_targets(settings: Settings, patience: Patience) -> None:
    """Raises TargetLocked. Of a target whose server cannot be asked it is only known which processes go on here."""
    for target in settings.targets.values():
        if target.name != settings.target.name:
            access = make_access(dataclasses.replace(settings, target=target), "sqb clean", patience)
            try:
                with contextlib.suppress(WarehouseUnreachable):
                    await access.wait_for_writers()
            finally:
                await access.close()


def _refuse_live(found: RunFolders) -> None:
    """Also those that have no lock that could be waited for. Raises TargetLocked."""
    live = next((run for run in found.unfinished if run.live), None)
    if live is not None:
        raise TargetLocked(
            f"run {live.run_id} goes on, on target {live.target}",
            help="wait for its end; `sqb clean` without --all leaves it alone",
        )


def _clean_target(
    root: str, settings: Settings, found: RunFolders, give_up: frozenset[str], before: tuple[str, ...]
) -> CleanReport:
    kept_runs = {run.run_id for run in found.unfinished if run.live or run.run_id not in give_up}
    known = {*found.ended, *(run.run_id for run in found.unfinished)}
    removed: list[str] = [*before]
    kept: list[str] = []
    for entry in _removable(root, settings):
        if entry.name == _IGNORE:
            continue
        if entry.name != _RUNS or not entry.is_dir():
            removed.append(_remove(entry, root))
            continue
        for run in sorted(os.scandir(entry.path), key=lambda each: each.name):
            if run.name in known - kept_runs:
                removed.append(_remove(run, root))
            else:
                kept.append(os.path.relpath(run.path, root))
        with contextlib.suppress(OSError):  # it is not empty
            os.rmdir(entry.path)
    _remove_if_empty(os.path.join(root, "target"))
    return CleanReport(removed=tuple(removed), kept=tuple(kept))


def _remove_if_empty(target: str) -> None:
    """What is left in it needs the file that keeps it out of git."""
    if os.path.isdir(target) and os.listdir(target) in ([], [_IGNORE]):
        with contextlib.suppress(OSError):
            shutil.rmtree(target)


def _removable(root: str, settings: Settings) -> Iterator[os.DirEntry[str]]:
    """What is in target/, but databases and whatever they are in."""
    folder = os.path.join(root, "target")
    databases = [str(found.connection.options.get("database", "")) for found in settings.targets.values()]
    for entry in sorted(os.scandir(folder), key=lambda each: each.name) if os.path.isdir(folder) else ():
        if not any(
            entry.path in (path, f"{path}.wal", f"{path}.lock") or path.startswith(entry.path + os.sep)
            for path in databases
        ):
            yield entry


def _remove(entry: os.DirEntry[str], root: str) -> str:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path)
    else:
        os.unlink(entry.path)
    return os.path.relpath(entry.path, root)
