"""`sqb clean`: what earlier runs left behind."""

from __future__ import annotations

import dataclasses
import os
import shutil

from sqlbuild.app.live_runs import live_run_ids
from sqlbuild.app.options import ProjectOptions
from sqlbuild.app.target_access import Patience
from sqlbuild.app.wiring import make_access, make_warehouse, run_async
from sqlbuild.domain.settings import Settings
from sqlbuild.errors import ProjectError, SqlbuildError
from sqlbuild.interfaces.warehouse import Warehouse
from sqlbuild.project.settings_file import read_settings
from sqlbuild.runner.staging import STAGING_PREFIX
from sqlbuild.sql.rendering import quote_relation
from sqlbuild.state.journal import FILE_NAME, read_journal


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CleanReport:
    """Paths relative to the project root and relation names.

    `kept`: unfinished runs, removed only by `everything`, and never those that go on.
    """

    removed: tuple[str, ...]
    kept: tuple[str, ...]


def clean(options: ProjectOptions, *, everything: bool, patience: Patience) -> CleanReport:
    """Remove temporary relations and `target/` except unfinished runs; a database inside target/ is never touched."""
    settings, problems = read_settings(options.root, target=options.target, vars=options.vars, environ=options.environ)
    options.masker.add(settings.secrets)
    if any(problem.severity == "error" for problem in problems):
        raise ProjectError(problems)
    report: CleanReport = run_async(_clean, settings, options.root, everything, patience, backend="asyncio")
    return report


async def _clean(settings: Settings, root: str, everything: bool, patience: Patience) -> CleanReport:
    access = make_access(settings, "sqb clean", patience)
    try:
        await access.lock_for_writing()
        warehouse = make_warehouse(settings, root)
        relations: tuple[str, ...] = ()
        if warehouse.exists():
            await access.open(warehouse)
            relations = await _drop_staging(warehouse)
        removed, kept = _clean_target(root, settings, everything)
        return CleanReport(removed=(*relations, *removed), kept=kept)
    finally:
        await access.close()


def _clean_target(root: str, settings: Settings, everything: bool) -> tuple[list[str], tuple[str, ...]]:
    target = os.path.join(root, "target")
    removed: list[str] = []
    kept: list[str] = []
    databases = [str(found.connection.options.get("database", "")) for found in settings.targets.values()]
    live = live_run_ids(settings)
    for entry in sorted(os.scandir(target), key=lambda found: found.name) if os.path.isdir(target) else ():
        if any(
            entry.path in (path, f"{path}.wal", f"{path}.lock") or path.startswith(entry.path + os.sep)
            for path in databases
        ):
            continue
        if entry.name == "runs" and entry.is_dir() and (live or not everything):
            for run in sorted(os.scandir(entry.path), key=lambda found: found.name):
                if run.name not in live and (everything or _has_ended(run.path)):
                    removed.append(_remove(run, root))
                else:
                    kept.append(os.path.relpath(run.path, root))
        else:
            removed.append(_remove(entry, root))
    return removed, tuple(kept)


def prune_runs(folder: str, keep: int) -> None:
    """Remove the oldest finished runs until `keep` folders are left; unfinished ones stay, whatever their age."""
    runs = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
    for path in runs[: max(0, len(runs) - keep)]:
        if _has_ended(path):
            shutil.rmtree(path)


def _has_ended(run: str) -> bool:
    """Whether a run's journal tells its end; one that was never begun counts, a damaged one does not."""
    path = os.path.join(run, FILE_NAME)
    if not os.path.exists(path):
        return True
    try:
        return read_journal(path).ended_with is not None
    except SqlbuildError:
        return False


def _remove(entry: os.DirEntry[str], root: str) -> str:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path)
    else:
        os.unlink(entry.path)
    return os.path.relpath(entry.path, root)


async def _drop_staging(warehouse: Warehouse) -> tuple[str, ...]:
    stale = sorted((found for found in await warehouse.relations() if found.name.startswith(STAGING_PREFIX)), key=str)
    if stale:
        connection = warehouse.connect()
        await connection.execute_together([(f"DROP TABLE {quote_relation(found)}", None) for found in stale])
        await connection.close()
    return tuple(map(str, stale))
