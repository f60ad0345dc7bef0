"""What an attempt has exported, as it is kept with the node's result."""

from __future__ import annotations

import json
from typing import Any

from sqlbuild.domain.exports import ExportResult
from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.results import NodeResult

MAX_FILES = 1_000
"""That are told one by one."""


class ExportRecord:
    """Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._files: list[dict[str, Any]] = []
        self._left_out = 0
        self._cursors: dict[str, str] = {}
        self._warnings: dict[str, str] = {}

    def add(self, result: ExportResult) -> None:
        if len(self._files) == MAX_FILES:
            self._left_out += 1
            return
        self._files.append({"path": result.path, "rows": result.rows, "bytes": result.bytes, "sha256": result.sha256})

    def warn(self, what: str, text: str) -> None:
        """Once for each `what`."""
        self._warnings.setdefault(what, text)

    def keep_cursor(self, key: str, value: str) -> None:
        self._cursors[key] = value

    def add_to(self, result: NodeResult) -> None:
        """With a success the cursors are committed, and an asset that does not say counts as materialized."""
        result.warnings = (*result.warnings, *self._warnings.values())
        if not self._files:
            return
        told: dict[str, Any] = {"files": self._files}
        if self._left_out:
            told["more_files"] = self._left_out
        if self._cursors:
            told["cursors"] = self._cursors
        # With the plain encoder: the store searches this text for a key, written in the same way.
        result.exports = json.dumps(told, separators=(",", ":"))
        if result.kind is NodeKind.ASSET and result.materialized is None:
            result.materialized = True
