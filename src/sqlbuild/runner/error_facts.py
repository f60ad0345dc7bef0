"""An exception as it is reported: its type, message, and the traceback from the author's first frame on."""

from __future__ import annotations

import traceback
from collections.abc import Iterable

from sqlbuild.domain.results import ErrorFacts
from sqlbuild.errors import ProviderError, SqlbuildError

_ENGINE = __file__.rpartition("/runner/")[0] + "/"
MAX_MESSAGE = 100_000
MAX_EXCEPTIONS = 100
"""As many of a chain or a group are told."""


def describe_error(error: BaseException, root: str) -> ErrorFacts:
    """Facts of `error`; paths inside `root` (the project) are shown relative to it. Never raises."""
    origin = error.__cause__ if isinstance(error, ProviderError) and error.__cause__ is not None else error
    frames = _author_frames(_first_cause(origin), root) or _author_frames(origin, root)
    at = next((frame for frame in reversed(frames) if _inside(frame.filename, root)), frames[-1] if frames else None)
    return ErrorFacts(
        type=_type_name(error),
        message=_message(error),
        traceback=_format(error, root, seen=set()),
        path=_shown_path(at.filename, root) if at is not None else "",
        line=at.lineno if at is not None else None,
        help=getattr(error, "help", "") if isinstance(error, SqlbuildError) else "",
    )


def _type_name(error: BaseException) -> str:
    kind = type(error)
    plain = kind.__module__ in ("builtins", "__main__") or kind.__module__.startswith("sqlbuild.")
    return kind.__qualname__ if plain else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    """A group says what its first member is."""
    cause = _first_cause(error)
    if cause is error:
        return _own_message(error)
    return text_of(f"{_own_message(error)}: {_type_name(cause)}: {_own_message(cause)}")


def _own_message(error: BaseException) -> str:
    """Without the help, which is told beside it."""
    return text_of(error.args[0] if isinstance(error, SqlbuildError) and error.args else error)


def _first_cause(error: BaseException) -> BaseException:
    """The first exception of a group that is not a group itself; any other exception is its own."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def text_of(value: object) -> str:
    """`str()` of an author's object, bounded and encodable, whatever its `__str__` does."""
    try:
        text = str(value)
    except Exception:  # noqa: BLE001 - a hostile __str__ must fail only its own node
        text = f"<unprintable {type(value).__name__}>"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}... ({len(text):,} characters)"


def _author_frames(error: BaseException, root: str) -> list[traceback.FrameSummary]:
    """Frames from the first one inside the project; what the engine does below a ctx call is left out."""
    frames = list(_summaries(error))
    first = next((index for index, frame in enumerate(frames) if _inside(frame.filename, root)), None)
    if first is None:
        if isinstance(error, SqlbuildError):
            # Raised when the author's function had returned: what its frames show is how it was waited for.
            return []
        return [frame for frame in frames if not frame.filename.startswith(_ENGINE)]
    kept: list[traceback.FrameSummary] = []
    in_engine = False
    for frame in frames[first:]:
        if _inside(frame.filename, root):
            in_engine = False
        elif frame.filename.startswith(_ENGINE):
            in_engine = True
        if not in_engine:
            kept.append(frame)
    return kept


def _summaries(error: BaseException) -> Iterable[traceback.FrameSummary]:
    return traceback.extract_tb(error.__traceback__)


def _format(error: BaseException, root: str, seen: set[int]) -> str:
    if id(error) in seen:
        return ""
    if len(seen) == MAX_EXCEPTIONS:
        return "... and further exceptions\n"
    seen.add(id(error))
    if isinstance(error, ProviderError) and error.__cause__ is not None:
        # Of a provider that could not be set up the author's own traceback is all there is to tell.
        return _format(error.__cause__, root, seen)
    parts: list[str] = []
    if error.__cause__ is not None:
        if not _comes_from_engine(error):
            parts += [
                _format(error.__cause__, root, seen),
                "\nThe above exception was the direct cause of this one:\n\n",
            ]
    elif error.__context__ is not None and not error.__suppress_context__ and not _comes_from_engine(error):
        parts += [_format(error.__context__, root, seen), "\nDuring its handling, another exception occurred:\n\n"]
    frames = _author_frames(error, root)
    if frames:
        parts.append("Traceback (most recent call last):\n")
        parts += traceback.StackSummary.from_list(frames).format()
    message = _own_message(error)
    parts.append(f"{_type_name(error)}: {message}\n" if message else f"{_type_name(error)}\n")
    notes = getattr(error, "__notes__", ())
    if isinstance(notes, list | tuple):
        parts += [f"  note: {text_of(note)}\n" for note in notes[:MAX_EXCEPTIONS]]
    if isinstance(error, BaseExceptionGroup):
        for index, member in enumerate(error.exceptions, 1):
            text = _format(member, root, seen)
            parts.append(f"  {index}. " + text.replace("\n", "\n     ").rstrip() + "\n")
            if len(seen) == MAX_EXCEPTIONS:
                parts.append(f"  ({len(error.exceptions)} in all)\n")
                break
    return "".join(parts)


def _comes_from_engine(error: BaseException) -> bool:
    """An engine error hides the driver's exception that it was made from."""
    frames = list(_summaries(error))
    return isinstance(error, SqlbuildError) and bool(frames) and frames[-1].filename.startswith(_ENGINE)


def _inside(path: str, root: str) -> bool:
    return path.startswith(root + "/") and "/.venv/" not in path and "/site-packages/" not in path


def _shown_path(path: str, root: str) -> str:
    return path[len(root) + 1 :] if path.startswith(root + "/") else path
