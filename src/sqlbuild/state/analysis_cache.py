"""Where analyses of SQL are kept from one command to the next."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from sqlbuild.failpoints import failpoint

FORMAT = 1


class InMemoryAnalysisCache:
    """Forgets everything with its process; also counts, for tests, how often it could help."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.hits = 0
        self.misses = 0

    def load(self, key: str) -> str | None:
        found = self.entries.get(key)
        self.hits += found is not None
        self.misses += found is None
        return found

    def store(self, key: str, value: str) -> None:
        self.entries[key] = value

    def flush(self) -> None:
        """Nothing to write."""


class FileAnalysisCache:
    """One JSON file, read when the first key is asked for.

    A file that is missing, damaged or of another format counts as empty. It is written whole, and only if something
    is new; what was not used since it was read is left out. A folder that cannot be written to is no error: then the
    next command analyses again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, str] | None = None
        self._used: dict[str, str] = {}
        self._changed = False

    def load(self, key: str) -> str | None:
        if self._entries is None:
            self._entries = _read(self._path)
        found = self._used.get(key)
        if found is None:
            found = self._entries.get(key)
            if found is not None:
                self._used[key] = found
        return found

    def store(self, key: str, value: str) -> None:
        self._used[key] = value
        self._changed = True

    def flush(self) -> None:
        if not self._changed:
            return
        self._changed = False
        self._entries = dict(self._used)
        with contextlib.suppress(OSError):
            _write(self._path, self._used)


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return {}
    entries = content.get("entries")
    if not isinstance(entries, dict) or not all(isinstance(value, str) for value in entries.values()):
        return {}
    return entries


def _write(path: Path, entries: dict[str, str]) -> None:
    """A reader sees the old file or the new one; two writers do not disturb each other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps({"format": FORMAT, "entries": entries}, ensure_ascii=False), encoding="utf-8")
        failpoint("analysis.written")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
