"""Where the nodes of a run may write files."""

from __future__ import annotations

import os

from sqlbuild.domain.settings import Settings
from sqlbuild.runner.exporting.folder_notes import NOTES_NAME, FolderNotes
from sqlbuild.runner.exporting.paths import ExportPlaces


def export_places(root: str, settings: Settings, run_id: str) -> ExportPlaces:
    """The project and `[settings] export_paths`, but neither target/ nor the databases."""
    target = os.path.join(root, "target")
    run_folder = os.path.join(target, "runs", run_id)
    told = [found.connection.options.get("database") for found in settings.targets.values()]
    databases = [path for path in told if isinstance(path, str) and os.path.isabs(path)]
    also_into = [os.path.join(root, os.path.expanduser(path)) for path in settings.run.export_paths]
    never = [target, *(file for path in databases for file in (path, f"{path}.wal"))]
    return ExportPlaces(
        # Once for all exports: each link is looked up folder by folder, by an event loop that has other things to do.
        root=os.path.realpath(root),
        also_into=tuple(map(os.path.realpath, also_into)),
        never=tuple(map(os.path.realpath, never)),
        spool=run_folder,
        notes=FolderNotes(os.path.join(run_folder, NOTES_NAME)),
    )
