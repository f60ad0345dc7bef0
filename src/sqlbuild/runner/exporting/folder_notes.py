"""Which folders a run writes files into, so that what it may leave unfinished can be found."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator

NOTES_NAME = "exports"
"""The file in a run's folder that names the folders it has written to."""


class FolderNotes:
    """A file of JSON texts, one a line; each folder is noted once, before anything is written into it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._noted: set[str] = set()
        self._lock = threading.Lock()

    def add(self, folder: str) -> None:
        """Blocks; from any thread. Raises OSError."""
        with self._lock:
            if folder in self._noted:
                return
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps(folder) + "\n")
            self._noted.add(folder)


def noted_folders(path: str) -> tuple[str, ...]:
    """What a run has noted; its last line may be torn. Raises OSError."""
    folders: dict[str, None] = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                folder = json.loads(line)
            except ValueError:
                continue
            if isinstance(folder, str):
                folders[folder] = None
    return tuple(folders)


def noted_runs(runs_folder: str) -> Iterator[tuple[str, str]]:
    """The runs in `target/runs` that have noted folders, by id, each with its file."""
    try:
        names = sorted(os.listdir(runs_folder))
    except FileNotFoundError:
        return
    for name in names:
        notes = os.path.join(runs_folder, name, NOTES_NAME)
        if os.path.isfile(notes):
            yield name, notes
