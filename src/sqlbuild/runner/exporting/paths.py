"""Where an export may go: the one function that resolves its path and keeps it where files may be written.

A path that another system could not hold, or would take for another one, is refused on every system: projects move.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping

from sqlbuild.domain.exports import ExportFormat
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.errors import ExportPathError
from sqlbuild.runner.exporting.folder_notes import FolderNotes

WORKING_PREFIX = ".sqb-export~"
"""Of the names of files and folders that are being written."""

_SCHEME = pattern(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?")
_ENCODED = pattern(r"%(?:25)*(?:2e|2f|5c|00)", re.IGNORECASE)
_RESERVED = pattern(r"(?:con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])", re.IGNORECASE)
_LOCAL_SCHEMES = ("file", "local")
_MAX_NAME = 255
_MAX_PATH = 4_000
_FORMATS: Mapping[str, ExportFormat] = {f".{format}": format for format in ExportFormat}


@record(frozen=True, slots=True, kw_only=True)
class ExportPlaces:
    """Folders are absolute and have no symlink in them. Exports go into `root` and `also_into`, but never to or below what is in `never`."""

    root: str
    also_into: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    spool: str
    """Where files stand until they are uploaded."""
    notes: FolderNotes | None = None
    """None if nobody will look for what may be left unfinished."""


@record(frozen=True, slots=True, kw_only=True)
class LocalPlace:
    """`path` is absolute and has no symlink in it; `shown` is relative to the project if it is inside."""

    path: str
    shown: str


@record(frozen=True, slots=True, kw_only=True)
class UrlPlace:
    """In an object store, or whatever else fsspec reaches."""

    path: str
    scheme: str

    @property
    def shown(self) -> str:
        return self.path


Place = LocalPlace | UrlPlace


def resolve_place(written: str, places: ExportPlaces) -> Place:
    """Where `written` is. Raises ExportPathError with the reason for a path that is refused."""
    reason = _refused_text(written)
    if reason is not None:
        raise _refused(written, *reason)
    found = _SCHEME.match(written)
    if found is not None:
        return _url(written, found)
    return _local(written, places)


def format_of(path: str) -> ExportFormat | None:
    """By the longest suffix that is known."""
    name = path.rstrip("/").rpartition("/")[2].lower()
    suffixes = sorted((suffix for suffix in _FORMATS if name.endswith(suffix)), key=len)
    return _FORMATS[suffixes[-1]] if suffixes else None


def folded(path: str) -> str:
    """The same for all spellings of a path that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def _refused(written: str, why: str, help: str) -> ExportPathError:
    return ExportPathError(f"ctx.export() cannot write to {written[:200]!r}: {why}", help=help)


def _refused_text(written: str) -> tuple[str, str] | None:
    """Why a text is no path anywhere, and what to do."""
    if not written or written.isspace():
        return "it is empty", "give a path such as exports/orders.csv"
    if any(ord(character) < 32 or ord(character) == 127 for character in written):
        return "it holds a control character", "take it out"
    if any(0xD800 <= ord(character) < 0xE000 for character in written):
        return "it holds text that is not valid Unicode", "take it out"
    if "\\" in written:
        return "it holds a backslash", "write / between folders"
    if _ENCODED.search(written):
        return "it holds an encoded dot, slash or NUL, which other programs decode", "write what you mean"
    for name in re.split("/+", written):
        if reason := _refused_name(name):
            return reason
    return None


def _refused_name(name: str) -> tuple[str, str] | None:
    if name == "..":
        return "it holds ..", "name the folder itself; [settings] export_paths allows others than the project's"
    if name == ".":
        return None
    if name.endswith((".", " ")):
        return f"{name!r} ends with a dot or a space, which some systems drop", "take it off"
    if _RESERVED.fullmatch(name.partition(".")[0].rstrip()):
        return f"{name!r} is the name of a device on some systems", "choose another name"
    if len(name.encode()) > _MAX_NAME:
        return f"a name of {len(name.encode())} bytes is too long", f"at most {_MAX_NAME} bytes fit"
    if name.startswith(WORKING_PREFIX):
        return f"names that start with {WORKING_PREFIX} are those of unfinished exports", "choose another name"
    return None


def _url(written: str, found: re.Match[str]) -> UrlPlace:
    scheme = found[1].lower()
    if len(scheme) == 1:
        raise _refused(written, "drive letters are not portable", "give a path relative to the project")
    if scheme in _LOCAL_SCHEMES:
        raise _refused(written, "it is a URL of a local file", f"write the path without {scheme}:")
    if found[2] is None:
        raise _refused(written, f"{scheme}: is neither a folder nor a URL", "write s3://bucket/key, or a path")
    rest = written[found.end() :]
    if "::" in written:
        raise _refused(written, "chained URLs cannot be written whole or not at all", "give one URL")
    if "@" in rest.partition("/")[0]:
        raise ExportPathError(
            "ctx.export() does not take URLs with a user or password in them, because paths are stored and shown",
            help="give credentials by the environment, as the store's own documentation tells",
        )
    if not rest.strip("/"):
        raise _refused(written, "it names no file", "write s3://bucket/folder/file.parquet")
    if "//" in rest.lstrip("/") or "/./" in f"/{rest}/":
        raise _refused(written, "it holds an empty name or a dot", "write one / between names")
    return UrlPlace(path=f"{scheme}://{rest.rstrip('/')}", scheme=scheme)


def _local(written: str, places: ExportPlaces) -> LocalPlace:
    if written.startswith("//"):
        raise _refused(written, "it is the name of a network share", "give a path relative to the project")
    if written == "~" or written.startswith("~/"):
        raise _refused(written, "~ is not replaced by your home folder", "write the folder out")
    path = os.path.realpath(os.path.join(places.root, written))
    if len(os.fsencode(path)) > _MAX_PATH:
        raise _refused(written, f"{len(os.fsencode(path))} bytes are too long", f"at most {_MAX_PATH} bytes fit")
    loop = next((link for link in _parents(path) if os.path.islink(link)), None)
    if loop is not None:
        raise _refused(written, f"{loop} is a symlink that leads back to itself", "remove the link")
    root = places.root
    if not any(_is_within(path, folder) for folder in (root, *places.also_into)):
        told = os.path.join(places.root, written)
        through = "" if os.path.normpath(told) == path else f" (it leads to {path})"
        raise _refused(
            written,
            f"it is outside of the project{through}",
            f"write into {root}, or allow more with [settings] export_paths",
        )
    if path == root:
        raise _refused(written, "it is the project's own folder", "give a path such as exports/orders.csv")
    for kept in places.never:
        if _is_within(path, kept) or _is_within(kept, path):
            raise _refused(written, f"{_shown(kept, root)} is kept by sqlbuild itself", "write to another folder")
    return LocalPlace(path=path, shown=_shown(path, root))


def _parents(path: str) -> Iterator[str]:
    """The path and all folders above it."""
    while True:
        yield path
        above = os.path.dirname(path)
        if above == path:
            return
        path = above


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _shown(path: str, root: str) -> str:
    return os.path.relpath(path, root).replace(os.sep, "/") if _is_within(path, root) else path
