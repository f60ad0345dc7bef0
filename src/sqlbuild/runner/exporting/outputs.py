"""One file on its way to its final name: beside it on this machine, or as an upload to a store.

    prepare, open_stream    somewhere to write to, by path or as a stream
    complete                everything is written, and on disk or sent; nothing is visible yet
    publish                 the file has its name
    settle                  so it stays, also when the machine ends

All of it blocks and belongs on a thread, but `LocalOutput.publish`, which is one rename.
"""

from __future__ import annotations

import contextlib
import os
from typing import Protocol

from sqlbuild.failpoints import failpoint
from sqlbuild.runner.exporting.object_store import ObjectStore, Upload
from sqlbuild.runner.exporting.paths import ExportPlaces, LocalPlace, Place, UrlPlace
from sqlbuild.runner.exporting.working_files import (
    FileFacts,
    HashingFile,
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


class Output(Protocol):
    shown: str
    publishes_at_once: bool
    """Whether `publish` takes no time, so that it can be called on the event loop."""

    working_path: str
    """Where the content is written, if not through `open_stream`."""

    @property
    def discards_at_once(self) -> bool:
        """Whether `discard` takes no time at this moment."""

    def prepare(self) -> None: ...

    def open_stream(self) -> HashingFile: ...

    def complete(self) -> FileFacts: ...

    def publish(self) -> None: ...

    def settle(self) -> None: ...

    def discard(self) -> None:
        """Never raises. Nothing stays of what was not published."""


def make_output(place: Place, places: ExportPlaces, name: WorkingName) -> Output:
    if isinstance(place, LocalPlace):
        return LocalOutput(place, places, name)
    return StoreOutput(place, places, name)


class LocalOutput:
    publishes_at_once = True

    def __init__(self, place: LocalPlace, places: ExportPlaces, name: WorkingName) -> None:
        self.shown = place.shown
        self._path = place.path
        self._folder = os.path.dirname(place.path)
        self.working_path = os.path.join(self._folder, str(name))
        self._notes = places.notes
        self._file: int | None = None
        self._stream: HashingFile | None = None

    def prepare(self) -> None:
        with step(self.shown, "making its temporary file"):
            if os.path.isdir(self._path):
                raise IsADirectoryError(None, "it is a folder")
            make_folder(self._folder)
            if self._notes is not None:
                self._notes.add(self._folder)
            create_file(self.working_path, replaces=self._path)
            failpoint("export.prepared")

    def open_stream(self) -> HashingFile:
        self.prepare()
        with step(self.shown, "opening its temporary file"):
            self._file = os.open(self.working_path, os.O_WRONLY)
        self._stream = HashingFile(self._write)
        return self._stream

    def _write(self, data: memoryview) -> None:
        assert self._file is not None
        with step(self.shown, "writing"):
            while data:
                data = data[os.write(self._file, data) :]

    def complete(self) -> FileFacts:
        with step(self.shown, "writing"):
            failpoint("export.written")
            facts = read_facts(self.working_path) if self._stream is None else self._stream.facts
            self._close()
            sync_file(self.working_path)
        return facts

    def publish(self) -> None:
        with step(self.shown, "giving it its name"):
            os.replace(self.working_path, self._path)
        failpoint("export.renamed")

    def settle(self) -> None:
        with step(self.shown, "writing its folder"):
            sync_folder(self._folder)

    @property
    def discards_at_once(self) -> bool:
        return True

    def discard(self) -> None:
        if self._stream is not None:
            self._stream.dead = True
        self._close()
        remove(self.working_path)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.close(file)


class StoreOutput:
    """What is not streamed waits in a file of the run's folder until it is uploaded: a slow store would else keep the
    warehouse's threads and a connection waiting."""

    publishes_at_once = False

    def __init__(self, place: UrlPlace, places: ExportPlaces, name: WorkingName) -> None:
        self.shown = place.shown
        self._place = place
        self._name = name
        self._places = places
        self.working_path = os.path.join(places.spool, str(name))
        self._upload: Upload | None = None
        self._stream: HashingFile | None = None

    def prepare(self) -> None:
        ObjectStore(self._place)  # what is missing or wrong is known before anything is written
        with step(self.shown, "making a temporary file"):
            make_folder(self._places.spool)
            if self._places.notes is not None:
                self._places.notes.add(self._places.spool)
            create_file(self.working_path)
            failpoint("export.prepared")

    def open_stream(self) -> HashingFile:
        self._upload = self._begin()
        self._stream = HashingFile(self._upload.write)
        return self._stream

    def _begin(self) -> Upload:
        store = ObjectStore(self._place)
        return store.upload(store.path, str(self._name))

    def complete(self) -> FileFacts:
        with step(self.shown, "writing"):
            failpoint("export.written")
        if self._stream is None:
            self.open_stream()
            assert self._stream is not None
            with step(self.shown, "uploading"):
                for chunk in chunks_of(self.working_path):
                    self._stream.write(chunk)
            remove(self.working_path)
        assert self._upload is not None
        self._upload.complete()
        return self._stream.facts

    def publish(self) -> None:
        assert self._upload is not None
        self._upload.commit()
        self._upload = None
        failpoint("export.renamed")

    def settle(self) -> None:
        """A store keeps what it has said that it has."""

    @property
    def discards_at_once(self) -> bool:
        return self._upload is None

    def discard(self) -> None:
        if self._stream is not None:
            self._stream.dead = True
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.discard()
        remove(self.working_path)
