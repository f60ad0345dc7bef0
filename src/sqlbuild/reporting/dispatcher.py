"""Carries events from the run to the sinks, so that no sink can slow the run down or stop it."""

from __future__ import annotations

import collections
import functools
import sys
import threading
from collections.abc import Callable, Sequence

from sqlbuild.domain.events import Event
from sqlbuild.interfaces.event_sink import EventSink

THREAD_NAME = "sqlbuild-events"
_INTERVAL_SECONDS = 0.1


class EventDispatcher:
    """One daemon thread that hands the events to every sink, in order, ten times a second.

    A sink that raises is left out from then on. It is reported on stderr once, except for a closed pipe, which only
    means that nobody reads any more.
    """

    def __init__(self, sinks: Sequence[EventSink]) -> None:
        self._sinks = list(sinks)
        self._events: collections.deque[Event] = collections.deque()
        self._closing = threading.Event()
        self.publish: Callable[[Event], None] = self._events.append
        """Take one event; from any thread, without waiting. It is the append of a deque, which is atomic."""
        self._thread = threading.Thread(target=self._work, name=THREAD_NAME, daemon=True)
        self._thread.start()

    def close(self, timeout: float | None = 2.0) -> None:
        """Hand out what is left, close the sinks and wait for that, at most `timeout` seconds (None: however long).

        What a sink that hangs (a full pipe) has not written by then is lost.
        """
        self._closing.set()
        self._thread.join(timeout)

    def _work(self) -> None:
        while not self._closing.wait(_INTERVAL_SECONDS):
            self._hand_out()
            for sink in tuple(self._sinks):
                self._guarded(sink, sink.tick)
        self._hand_out()
        for sink in tuple(self._sinks):
            self._guarded(sink, sink.close)

    def _hand_out(self) -> None:
        # Only what is there now: a run that publishes faster than a sink shows must not keep tick() from being called.
        batch = [self._events.popleft() for _ in range(len(self._events))]
        for sink in tuple(self._sinks):
            self._guarded(sink, functools.partial(_handle_all, sink.handle, batch))

    def _guarded(self, sink: EventSink, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 -- a sink may raise anything; the run must not notice
            self._sinks.remove(sink)
            if not isinstance(error, BrokenPipeError):
                _report(sink, error)


def _handle_all(handle: Callable[[Event], None], batch: Sequence[Event]) -> None:
    for event in batch:
        handle(event)


def _report(sink: EventSink, error: Exception) -> None:
    try:
        sys.stderr.write(f"warning: {type(sink).__name__} stopped: {type(error).__name__}: {error}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return
