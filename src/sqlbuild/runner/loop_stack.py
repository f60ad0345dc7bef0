"""Reads off the stack of the event loop's thread which async node is running there, and where."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FrameType

from sqlbuild.authoring.functions import layers_of
from sqlbuild.domain.nodes import PythonNode
from sqlbuild.domain.record import record
from sqlbuild.runner.attempts import Attempt, run_async
from sqlbuild.runner.node_output import speaking_for

_ENGINE = __file__.rpartition("/runner/")[0] + "/"


@functools.cache
def _libraries() -> tuple[str, ...]:
    """How the paths of code begin that is no author's. Asked for where a loop is blocked: Python takes long to tell."""
    return (_ENGINE, "<frozen ", *(sysconfig.get_path(name) + "/" for name in ("stdlib", "platstdlib")))


@record(frozen=True, slots=True)
class Look:
    """An author's code that is running: `file:line`, and whose it is; None if that cannot be told."""

    attempt: Attempt | None
    place: str


class LoopStack:
    """`thread` is the loop's; places below `root` are shown relative to it."""

    def __init__(self, thread: int, root: str, running: Callable[[], Iterable[Attempt]]) -> None:
        self._thread = thread
        self._root = root.rstrip("/") + "/"
        self._running = running

    def look(self) -> Look | None:
        """From another thread; None if no author's code is on the stack. It may be gone when this returns."""
        frame = sys._current_frames().get(self._thread)
        frames = list(_outwards(frame))
        author = next((each for each in frames if self._is_authors(each.f_code.co_filename)), None)
        if author is None:
            return None
        path = author.f_code.co_filename.removeprefix(self._root)
        return Look(self._attempt_of(frames), f"{path}:{author.f_lineno}")

    def _is_authors(self, path: str) -> bool:
        inside = path.startswith(self._root)
        if "/site-packages/" in path or (inside and "/.venv/" in path):
            return False
        return inside or not path.startswith(_libraries())

    def _attempt_of(self, frames: list[FrameType]) -> Attempt | None:
        context: contextvars.Context | None = None
        for frame in frames:
            if frame.f_code is run_async.__code__:
                attempt = frame.f_locals.get("attempt")
                return attempt if isinstance(attempt, Attempt) else None
            context = context or _context_in(frame)
        # A task that the node has started.
        if context is not None:
            session = speaking_for(context)
            return next((each for each in self._running() if each.session is session), None)
        return self._only_one_with_code({frame.f_code for frame in frames})

    def _only_one_with_code(self, codes: set[CodeType]) -> Attempt | None:
        found = [attempt for attempt in self._running() if not codes.isdisjoint(_codes_of(attempt))]
        return found[0] if len(found) == 1 else None


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _context_in(frame: FrameType) -> contextvars.Context | None:
    """The context of the callback or task that this frame of an event loop is running."""
    code = frame.f_code
    if code is asyncio.Handle._run.__code__:
        context = getattr(frame.f_locals.get("self"), "_context", None)
    elif code.co_name == "unrolled_run" and "trio" in code.co_filename:
        context = getattr(frame.f_locals.get("task"), "context", None)
    else:
        return None
    return context if isinstance(context, contextvars.Context) else None


def _codes_of(attempt: Attempt) -> Iterator[CodeType]:
    """The code of the node's function and of what is defined inside of it."""
    declaration = attempt.node.declaration
    if not isinstance(declaration, PythonNode):
        return
    pending = [layer.__code__ for layer in layers_of(declaration.declared.function)]  # type: ignore[arg-type]
    while pending:
        code = pending.pop()
        yield code
        pending += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
