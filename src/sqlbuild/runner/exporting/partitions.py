"""Exports with `partition_by`: a folder of files, replaced whole by replacing its manifest.

    exports/orders/
      _manifest.json                                        names the generation that counts, and each of its files
      data.<run id>.<attempt>.<number>.<token>/country=NO/part-0.parquet

A new generation is written beside the old one, then the manifest is replaced, then the old one is removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from sqlbuild.domain.exports import ExportFormat
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.errors import ExportError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.exporting import Copied
from sqlbuild.runner.exporting.object_store import ObjectStore
from sqlbuild.runner.exporting.paths import ExportPlaces, LocalPlace, Place, UrlPlace, folded
from sqlbuild.runner.exporting.working_files import (
    WorkingName,
    chunks_of,
    create_file,
    make_folder,
    read_facts,
    remove,
    step,
    sync_file,
    sync_folder,
)

MANIFEST = "_manifest.json"
MANIFEST_VERSION = 1
_GENERATION = pattern(r"data\.(.+)\.\d+\.\d+\.[0-9a-f]+")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@record(frozen=True, slots=True, kw_only=True)
class PartitionedOrder:
    format: ExportFormat
    partition_by: tuple[str, ...]
    columns: Mapping[str, str]
    node: str


@record(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`text` is what is written; `files` are relative to the generation's folder."""

    text: bytes
    rows: int
    bytes: int
    files: tuple[str, ...]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text).hexdigest()


def run_of_generation(name: str) -> str | None:
    """The run that has written a generation's folder; None for any other."""
    found = _GENERATION.fullmatch(name)
    return found[1] if found else None


def current_generation(folder: str) -> str | None:
    """What the manifest in a folder names; None without one, or if it cannot be read."""
    try:
        with open(os.path.join(folder, MANIFEST), "rb") as file:
            manifest = json.load(file)
    except (OSError, ValueError):
        return None
    generation = manifest.get("generation") if isinstance(manifest, dict) else None
    return generation if isinstance(generation, str) else None


class PartitionedOutput:
    """The new generation of a folder. `make_manifest`, `send` and `settle` block and belong on a thread; `publish` takes
    no time on this machine, and one request at a store."""

    def __init__(self, place: Place, places: ExportPlaces, name: WorkingName, order: PartitionedOrder) -> None:
        self.shown = place.shown
        self._name = name
        self._order = order
        self._places = places
        self.generation = name.generation
        self._manifest: Manifest | None = None
        self._published = False
        if isinstance(place, LocalPlace):
            self._folder: str | None = place.path
            self._url: UrlPlace | None = None
            self.working_path = os.path.join(place.path, str(name))
        else:
            self._folder, self._url = None, place
            self.working_path = os.path.join(places.spool, str(name))
        self._store: ObjectStore | None = None

    @property
    def publishes_at_once(self) -> bool:
        return self._folder is not None

    def prepare(self) -> None:
        if self._url is not None:
            self._store = ObjectStore(self._url)
        above = os.path.dirname(self.working_path)
        with step(self.shown, "making its folder"):
            if self._folder is not None and os.path.exists(above) and not os.path.isdir(above):
                raise NotADirectoryError(None, "it is a file, and partition_by needs a folder")
            make_folder(above)
            if self._places.notes is not None:
                self._places.notes.add(above)
            os.mkdir(self.working_path)
            failpoint("export.prepared")

    def make_manifest(self, copied: Copied) -> Manifest:
        """Every file is read once and is on disk afterwards."""
        with step(self.shown, "reading what was written"):
            failpoint("export.written")
            files = list(self._files(copied))
        twins = _twins(files)
        if twins is not None:
            raise ExportError(
                f"{self.shown} would have the folders {twins[0]} and {twins[1]}, which some systems do not tell apart",
                help="change the values that it is partitioned by",
            )
        rows = sum(file["rows"] for file in files)
        if rows != copied.rows:
            raise ExportError(f"{self.shown}: {copied.rows} rows were written, but its files have {rows}")
        total = sum(file["bytes"] for file in files)
        document = {
            "schema_version": MANIFEST_VERSION,
            "generation": self.generation,
            "run_id": self._name.run_id,
            "node": self._order.node,
            "format": self._order.format,
            "partition_by": self._order.partition_by,
            "columns": dict(self._order.columns),
            "rows": rows,
            "bytes": total,
            "files": [{**file, "path": f"{self.generation}/{file['path']}"} for file in files],
        }
        self._manifest = Manifest(
            text=json.dumps(document, ensure_ascii=False, indent=1).encode(),
            rows=rows,
            bytes=total,
            files=tuple(file["path"] for file in files),
        )
        return self._manifest

    def _files(self, copied: Copied) -> Iterator[dict[str, Any]]:
        for folder, folders, names in os.walk(self.working_path):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                relative = os.path.relpath(path, self.working_path).replace(os.sep, "/")
                told = copied.rows_of_files.get(path)
                facts = read_facts(path, None if told is not None else self._order.format)
                if self._folder is not None:
                    sync_file(path)
                yield {
                    "path": relative,
                    "values": _values(relative),
                    "rows": facts.rows if told is None else told,
                    "bytes": facts.bytes,
                    "sha256": facts.sha256,
                }
            if self._folder is not None:
                sync_folder(folder)

    # -- the new generation comes to its place, not yet named by the manifest -----------------------------------------

    def send(self) -> None:
        assert self._manifest is not None
        if self._store is not None:
            self._upload_files(self._store, self._manifest)
            return
        assert self._folder is not None
        with step(self.shown, "giving its files their place"):
            os.rename(self.working_path, os.path.join(self._folder, self.generation))
            failpoint("export.moved")
            create_file(self._manifest_path, replaces=os.path.join(self._folder, MANIFEST))
            with open(self._manifest_path, "wb") as file:
                file.write(self._manifest.text)
            sync_file(self._manifest_path)
            sync_folder(self._folder)

    @property
    def _manifest_path(self) -> str:
        """The manifest before it has its name."""
        return self.working_path

    def _upload_files(self, store: ObjectStore, manifest: Manifest) -> None:
        for name in manifest.files:
            upload = store.upload(f"{store.path}/{self.generation}/{name}", str(self._name))
            try:
                with step(self.shown, "uploading"):
                    for chunk in chunks_of(os.path.join(self.working_path, name)):
                        upload.write(memoryview(chunk))
                upload.complete()
                upload.commit()
            except BaseException:
                upload.discard()
                raise
        failpoint("export.moved")

    def publish(self) -> None:
        assert self._manifest is not None
        if self._store is not None:
            upload = self._store.upload(f"{self._store.path}/{MANIFEST}", str(self._name))
            try:
                upload.write(memoryview(self._manifest.text))
                upload.complete()
                upload.commit()
            except BaseException:
                upload.discard()
                raise
        else:
            assert self._folder is not None
            with step(self.shown, "replacing its manifest"):
                os.replace(self._manifest_path, os.path.join(self._folder, MANIFEST))
        self._published = True
        failpoint("export.renamed")

    def settle(self) -> None:
        """The generations before are removed."""
        if self._store is not None:
            for name in self._other_generations(self._store.names(self._store.path)):
                self._store.remove_folder(f"{self._store.path}/{name}")
            remove(self.working_path)
            return
        assert self._folder is not None
        with step(self.shown, "writing its folder"):
            sync_folder(self._folder)
            for name in self._other_generations(os.listdir(self._folder)):
                failpoint("export.removing")
                remove(os.path.join(self._folder, name))

    def _other_generations(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if run_of_generation(name) is not None and name != self.generation]

    def discard(self) -> None:
        """Never raises. Does nothing to what was published."""
        remove(self.working_path)
        if self._published:
            return
        if self._folder is not None:
            remove(os.path.join(self._folder, self.generation))
        elif self._store is not None and self._manifest is not None:
            with contextlib.suppress(Exception):  # whatever the store's library raises while it is cleaned up
                self._store.remove_folder(f"{self._store.path}/{self.generation}")


def _values(path: str) -> dict[str, str | None]:
    """Column -> value as text, from the folders that a file stands in."""
    found: dict[str, str | None] = {}
    for part in path.split("/")[:-1]:
        name, _, value = part.partition("=")
        found[unquote(name)] = None if value == _NO_VALUE else unquote(value)
    return found


def _twins(files: list[dict[str, Any]]) -> tuple[str, str] | None:
    """Two folders that a file system without case, or with one way to write accents, takes for one. Their names are
    percent-encoded, so they are compared decoded."""
    seen: dict[str, str] = {}
    for file in files:
        folder = file["path"].rpartition("/")[0]
        other = seen.setdefault(folded(unquote(folder)), folder)
        if other != folder:
            return other, folder
    return None
