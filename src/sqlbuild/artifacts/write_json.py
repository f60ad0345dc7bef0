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
    write_text(path, _pieces(document))


def write_text(path: str, pieces: Iterable[str]) -> None:
    """The same for any text."""
    final = pathlib.Path(path)
    unfinished = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            # A lone surrogate becomes its \uXXXX escape, which is what JSON has for it.
            with unfinished.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
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


_plain_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _fast_encode(value: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a lone surrogate, or a number of more than 64 bits
        return _plain_encode(value)


def _pieces(document: Mapping[str, object]) -> Iterable[str]:
    encode = _plain_encode if orjson is None else _fast_encode
    before = "{\n"
    for key, value in document.items():
        yield f"{before}  {encode(key)}: "
        before = ",\n"
        if isinstance(value, list | Iterator):
            separator = "[\n"
            for entry in value:
                yield f"{separator}    {encode(entry)}"
                separator = ",\n"
            yield "\n  ]" if separator != "[\n" else "[]"
        else:
            yield encode(value)
    yield "\n}\n" if before != "{\n" else "{}\n"
