"""The standard streams: written to so that a closed or full one never ends a command in a traceback."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable
from typing import TextIO

from sqlbuild.errors import EngineError


def prepare_streams() -> None:
    """Make all three standard streams usable, whatever the caller has closed.

    A closed descriptor 1 or 2 would be given to the next file that is opened, the warehouse perhaps, and what is meant
    for the terminal would be written into it.
    """
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()
    for stream in (sys.stdout, sys.stderr):
        # What the terminal's encoding lacks is shown as an escape; it must not fail a command.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def shown_path(path: str) -> str:
    """`path` as seen from the working directory, or in full where that would lead out of it."""
    relative = os.path.relpath(path)
    return os.path.abspath(path) if relative.startswith(os.pardir) else relative


def write_text(text: str) -> None:
    """Write `text` to stdout. A reader that has gone is no error; EngineError if it cannot be written otherwise."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
    except OSError as error:
        _drop_stdout()
        raise _not_written(error) from error


def lost_output() -> EngineError | None:
    """The error that stdout gives, if it cannot be written; asked for by a line break, as what failed is not kept."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
    except OSError as error:
        _drop_stdout()
        return _not_written(error)
    return None


def write_lines(lines: Iterable[str]) -> None:
    write_text("".join(f"{line}\n" for line in lines))


def write_document(document: object) -> None:
    """Write one JSON document to stdout: indented on a terminal, else on one line."""
    indent = 2 if is_terminal(sys.stdout) else None
    separators = None if indent else (",", ":")
    write_text(json.dumps(document, indent=indent, separators=separators) + "\n")


def write_error_text(text: str) -> None:
    """Write `text` to stderr; if that cannot be done there is nobody to tell."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def flush_streams() -> None:
    """Flush both streams, so that what cannot be written is not reported again when the interpreter ends."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _drop_stdout()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()


def is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:
        return False


def terminal_width() -> int | None:
    """Columns of the terminal that stdout is; None where it is none or does not tell: nothing needs to be cut then."""
    if not is_terminal(sys.stdout):
        return None
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):
        return None


def _not_written(error: OSError) -> EngineError:
    return EngineError(
        f"standard output cannot be written: {error.strerror or error}",
        help="check the place it is redirected to, for example for space left",
    )


def _drop_stdout() -> None:
    """Send what is still buffered nowhere, or the interpreter reports it a second time when it ends."""
    with contextlib.suppress(OSError, ValueError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
        os.close(descriptor)


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")
