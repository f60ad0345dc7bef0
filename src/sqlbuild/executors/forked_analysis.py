"""Analyses many queries at once: in this process and in copies of it, so that each CPU has one to work on.

A copy is made by fork: it starts in milliseconds, with the parser loaded. Where that is not safe, since other threads
run, or cannot be told, this process does everything by itself, as it does what a copy was asked for that has died.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NoReturn, Self

from sqlbuild.sql.analyse_query import analysis_text
from sqlbuild.sql.query_analysis import Query

MIN_QUERIES = 32
"""For fewer at once no copies are made: they cost as much as a dozen queries."""
MIN_SHARED = 4
"""Fewer are not worth the way to a copy that is there."""
MAX_PROCESSES = 8
"""What one process does alone, reading files and putting the facts together, leaves nothing to do for more."""


class ForkedAnalysis:
    """`sql.analyse_query.AnalyseAll`; the copies are made when they are needed first, and end with the `with` block."""

    def __init__(self, processes: int | None = None) -> None:
        """As many `processes` as there are CPUs for this one, itself included, unless their number is given."""
        self._processes = processes
        self._copies: list[_Copy] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for copy in self._copies or ():
            copy.end()
        self._copies = []

    def __call__(self, queries: Sequence[Query]) -> list[str]:
        if self._copies is None and len(queries) >= MIN_QUERIES:
            self._copies = list(self._started())
        copies = (self._copies or []) if len(queries) >= MIN_SHARED else []
        # The longest ones are dealt out first, so that all have about as much to do.
        by_length = sorted(range(len(queries)), key=lambda place: -len(queries[place].sql))
        *parts, own = (by_length[first :: len(copies) + 1] for first in range(len(copies) + 1))
        for copy, part in zip(copies, parts, strict=True):
            copy.ask([queries[place] for place in part])
        texts = {place: analysis_text(queries[place]) for place in own}
        for copy, part in zip(copies, parts, strict=True):
            answers = copy.answers()
            if answers is None:
                copy.end()
                self._copies = [each for each in self._copies or () if each is not copy]
                answers = [analysis_text(queries[place]) for place in part]
            texts.update(zip(part, answers, strict=True))
        return [texts[place] for place in range(len(queries))]

    def _started(self) -> Iterator[_Copy]:
        if not _has_one_thread():
            return
        # What every one of them needs is loaded once.
        import sqlbuild.sql.output_columns  # noqa: F401

        for _ in range(min(self._processes or len(os.sched_getaffinity(0)), MAX_PROCESSES) - 1):
            try:
                yield _Copy()
            except OSError:
                return


class _Copy:
    """Another process that analyses queries. It ends when nobody can ask it any more, also if this one is killed."""

    def __init__(self) -> None:
        """Raises OSError where the system has no room for it."""
        questions, asked = os.pipe()
        answered, answers = os.pipe()
        ends = (questions, asked, answered, answers)
        # A signal that came between fork() and the child's own handlers would run those of the parent in it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self.process = os.fork()
            if self.process == 0:
                _serve(questions, answers, unused=(asked, answered), mask=mask)
        except OSError:
            for end in ends:
                os.close(end)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(questions)
        os.close(answers)
        self._questions = os.fdopen(asked, "wb")
        self._answers = os.fdopen(answered, "rb")

    def ask(self, queries: Sequence[Query]) -> None:
        """To be followed by `answers`: nobody reads a second question while the first is worked on."""
        with contextlib.suppress(BrokenPipeError):
            _write(self._questions, queries)

    def answers(self) -> list[str] | None:
        """Wait for them; None if it has died."""
        found = _read(self._answers)
        return None if found is None else list(found)

    def end(self) -> None:
        """Nothing that it might still do is needed."""
        # Who has ended by itself is not killed: another process may have its number by now.
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(self.process, os.WNOHANG) == (0, 0):
                os.kill(self.process, signal.SIGKILL)
                os.waitpid(self.process, 0)
        for file in (self._questions, self._answers):
            with contextlib.suppress(BrokenPipeError):
                file.close()


def _serve(questions: int, answers: int, *, unused: Sequence[int], mask: Iterable[int]) -> NoReturn:
    """What a copy does until there are no more questions. Nothing of what it has of its parent may be used up or told."""
    try:
        signal.set_wakeup_fd(-1)
        for each in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_DFL)
        # Ctrl-C reaches all processes of the terminal: the parent ends this one.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for end in unused:
            os.close(end)
        # Whatever the collector looks at has to be copied.
        gc.freeze()
        with open(questions, "rb") as asked, open(answers, "wb") as answered:
            while (queries := _read(asked)) is not None:
                _write(answered, [analysis_text(query) for query in queries])
    finally:
        # Also after an error: the parent does the same again, and meets it where it can be told.
        os._exit(0)


def _write(file: BinaryIO, message: Sequence[object]) -> None:
    import pickle

    pickle.dump(message, file, protocol=5)
    file.flush()


def _read(file: BinaryIO) -> Sequence[Any] | None:
    """The next message; None where the other side is gone."""
    import pickle

    try:
        message: Sequence[Any] = pickle.load(file)  # noqa: S301 -- from this process or its own child
    except (EOFError, pickle.UnpicklingError):
        return None
    return message


def _has_one_thread() -> bool:
    """Whether no other thread can hold a lock that a copy would wait for. Only Linux tells of those that Python did not start."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False
