"""Documents as files that are whole or not there."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping

from sqlbuild.errors import Problem, ProjectError
from sqlbuild.failpoints import failpoint

try:
    import orjson
except ImportError:  # the extra `fast` is not installed
    orjson = None  # type: ignore[assignment]


def write_json(path: str, document: Mapping[str, object]) -> None:
    """Write `document` to `path` as JSON, one element of a list a line, and make the folders that are missing.

    The elements of an iterator are made, written and forgotten one by one.

    Whoever reads meanwhile sees the old file or the new one. Raises ProjectError if the file cannot be written; then
    what was there stays.
    """
    _write(path, _pieces(document))


def write_text(path: str, pieces: Iterable[str]) -> None:
    """The same for any text."""
    _write(path, map(_encoded, pieces))


def _write(path: str, pieces: Iterable[bytes]) -> None:
    final = pathlib.Path(path)
    unfinished = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            with unfinished.open("wb") as file:
                file.writelines(pieces)
            failpoint("artifact.written")
            unfinished.replace(final)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        problem = Problem(
            code="UNWRITABLE",
            message=f"{path} cannot be written: {error.strerror or error}",
            help="check that its folder is one, is writable and has space left",
        )
        raise ProjectError(problem) from error


def _encoded(text: str) -> bytes:
    """A lone surrogate becomes its \\uXXXX escape, which is what JSON has for it."""
    return text.encode("utf-8", "backslashreplace")


_plain_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _plain_encode(value: object) -> bytes:
    return _encoded(_plain_encoder.encode(value))


def _fast_encode(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a lone surrogate, or a number of more than 64 bits
        return _plain_encode(value)


def _pieces(document: Mapping[str, object]) -> Iterable[bytes]:
    encode = _plain_encode if orjson is None else _fast_encode
    before = b"{\n"
    for key, value in document.items():
        yield b"%s  %s: " % (before, encode(key))
        before = b",\n"
        if isinstance(value, list | Iterator):
            separator = b"[\n    "
            for entry in value:
                yield separator + encode(entry)
                separator = b",\n    "
            yield b"[]" if separator[:1] == b"[" else b"\n  ]"
        else:
            yield encode(value)
    yield b"{}\n" if before[:1] == b"{" else b"\n}\n"
