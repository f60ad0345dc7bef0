"""What runs that are not alive any more have left unfinished beside their exports."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from sqlbuild.runner.exporting.folder_notes import noted_folders, noted_runs
from sqlbuild.runner.exporting.partitions import current_generation, run_of_generation
from sqlbuild.runner.exporting.working_files import remove, run_of_working_name


def remove_export_leftovers(runs_folder: str, is_alive: Callable[[str], bool]) -> tuple[str, ...]:
    """Remove temporary files, and folders of partitioned exports that no manifest names, of runs that are not alive.

    `runs_folder` is `target/runs`; `is_alive` is asked about run ids. Returns the paths that were removed. Files of runs
    that are alive, and whatever is not called as sqlbuild calls its unfinished files, are left alone. What cannot be
    removed is tried again the next time.
    """
    removed: list[str] = []
    for run_id, notes in noted_runs(runs_folder):
        if is_alive(run_id):
            continue
        failed = False
        for path in _leftovers_of(run_id, notes):
            remove(path)
            if os.path.lexists(path):
                failed = True
            else:
                removed.append(path)
        if not failed:
            remove(notes)
    return tuple(removed)


def _leftovers_of(run_id: str, notes: str) -> Iterator[str]:
    for folder in noted_folders(notes):
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        generation = current_generation(folder)
        for name in names:
            unfinished = run_of_working_name(name) == run_id
            unnamed = run_of_generation(name) == run_id and name != generation
            if unfinished or unnamed:
                yield os.path.join(folder, name)
