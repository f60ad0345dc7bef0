"""Object stores and other places that fsspec reaches. A file is uploaded in parts and becomes visible with the last step.

Everything here blocks and belongs on a thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlbuild.errors import ExportError, MissingExtra
from sqlbuild.runner.exporting.paths import UrlPlace

PART_BYTES = 16_000_000
"""Held in memory of each upload, once or twice; a store takes 10,000 parts of a file."""


class ObjectStore:
    """The file system that a URL is of, and the URL's path in it. Raises MissingExtra, ExportError."""

    def __init__(self, place: UrlPlace) -> None:
        self.shown = place.shown
        fsspec = _import_fsspec()
        try:
            self._files, self.path = fsspec.core.url_to_fs(place.path)
        except ImportError as error:
            extra = "sqlbuild[s3]" if place.scheme in ("s3", "s3a") else _package_for(place.scheme)
            raise MissingExtra(
                f"{place.scheme}:// needs another package: {error}", help=f"pip install '{extra}'"
            ) from None
        except ValueError as error:
            raise ExportError(
                f"{place.path} cannot be written to: {error}", help="look at the start of the URL"
            ) from None

    def upload(self, path: str, working_name: str) -> Upload:
        folder = path.rpartition("/")[0]
        return Upload(self._files, path, f"{folder}/{working_name}" if folder else working_name, self.shown)

    def names(self, folder: str) -> list[str]:
        """What is directly in a folder."""
        with store_errors(self.shown, "looking at what is there"):
            self._files.invalidate_cache()
            try:
                found = self._files.ls(folder, detail=False)
            except FileNotFoundError:
                return []
            return [str(path).rstrip("/").rpartition("/")[2] for path in found]

    def remove_folder(self, path: str) -> None:
        with store_errors(self.shown, "removing old files"):
            self._files.rm(path, recursive=True)


class Upload:
    """A file on its way."""

    def __init__(self, files: Any, path: str, working_path: str, shown: str) -> None:
        self._files = files
        self._path = path
        self._shown = shown
        # Others show what is written at once, so that goes to another name first.
        self._working_path = None if _HOLDING_BACK.intersection(_protocols(files)) else working_path
        with store_errors(shown, "beginning the upload"):
            self._file = files.open(
                self._working_path or path, "wb", block_size=PART_BYTES, autocommit=self._working_path is not None
            )

    def write(self, data: memoryview) -> None:
        with store_errors(self._shown, "uploading"):
            self._file.write(data)

    def complete(self) -> None:
        """Everything is sent, and nothing is visible yet."""
        with store_errors(self._shown, "uploading the end"):
            self._file.close()

    def commit(self) -> None:
        with store_errors(self._shown, "completing the upload"):
            if self._working_path is None:
                self._file.commit()
            else:
                self._files.mv(self._working_path, self._path)
            self._files.invalidate_cache()

    def discard(self) -> None:
        """Never raises: a store forgets unfinished uploads by its own rules."""
        # Whatever the store's library raises, the reason why the upload is given up is the one to be told.
        with contextlib.suppress(Exception):
            if self._working_path is None:
                # Else its finalizer would send the rest of what there is.
                self._file.closed = True
                self._file.discard()
            else:
                self._file.close()
                self._files.rm(self._working_path)


_HOLDING_BACK = frozenset({"s3", "s3a", "gs", "gcs"})
"""Stores whose files appear with `commit()`, which completes a multipart upload."""


def _protocols(files: Any) -> tuple[str, ...]:
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)


@contextlib.contextmanager
def store_errors(shown: str, doing: str) -> Iterator[None]:
    """Turn the errors of the system's kind into ExportError; what is a store's very own is raised as it is."""
    try:
        yield
    except OSError as error:
        text = error.strerror or str(error) or type(error).__name__
        raise ExportError(
            f"{shown} could not be written ({doing}): {text}",
            help="look at the address, your credentials and the store; what was there before is as it was",
        ) from error


def _package_for(scheme: str) -> str:
    return {"gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "abfss": "adlfs"}.get(scheme, "fsspec")


def _import_fsspec() -> Any:
    # Here and not above: an optional extra, and only URLs need it.
    try:
        import fsspec.core
    except ImportError:
        raise MissingExtra("exports to URLs need the package fsspec", help="pip install 'sqlbuild[s3]'") from None
    return fsspec
