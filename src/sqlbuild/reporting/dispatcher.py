"""Carries events from the run to the sinks, so that no sink can slow the run down or stop it."""

from __future__ import annotations

import collections
import functools
import sys
import threading
import time
from collections.abc import Callable, Sequence

from sqlbuild.domain.events import Event, LogLinesDropped, NodeLogged
from sqlbuild.domain.masked_records import masked_event
from sqlbuild.domain.masking import Masker
from sqlbuild.interfaces.event_sink import EventSink

THREAD_NAME = "sqlbuild-events"
MAX_LOGGED = 4_000
"""Messages of nodes from one hand-out to the next; the second half is kept for warnings and above."""
MAX_LOGGED_CHARACTERS = 4_000_000
_INTERVAL_SECONDS = 0.1
_SERIOUS = frozenset({"warning", "error", "critical"})


class EventDispatcher:
    """One daemon thread that hands the events to every sink, in order, ten times a second.

    A sink that raises is left out from then on. It is reported on stderr once, except for a closed pipe, which only
    means that nobody reads any more.
    """

    def __init__(self, sinks: Sequence[EventSink], masker: Masker | None = None) -> None:
        self._sinks = list(sinks)
        self._masker = masker
        self._events: collections.deque[Event] = collections.deque()
        self._closing = threading.Event()
        self.publish: Callable[[Event], None] = self._events.append
        """Take one event; from any thread, without waiting. It is the append of a deque, which is atomic."""
        self._logging = threading.RLock()
        self._logged = 0
        self._logged_characters = 0
        self._dropped: dict[str, int] = {}
        self._thread = threading.Thread(target=self._work, name=THREAD_NAME, daemon=True)
        self._thread.start()

    def publish_log(self, event: NodeLogged) -> None:
        """Take one message of a node; from any thread, without waiting. What is more than can be shown is counted and
        told as LogLinesDropped."""
        with self._logging:
            share = 1.0 if event.level in _SERIOUS else 0.5
            if self._logged >= MAX_LOGGED * share or self._logged_characters >= MAX_LOGGED_CHARACTERS * share:
                self._dropped[event.level] = self._dropped.get(event.level, 0) + 1
                return
            self._logged += 1
            self._logged_characters += len(event.message)
        self._events.append(event)

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
        if self._logged or self._dropped:
            with self._logging:
                dropped, self._dropped = self._dropped, {}
                self._logged = self._logged_characters = 0
            if dropped:
                batch.append(LogLinesDropped(time.time(), dropped))
        if self._masker:
            batch = [masked_event(event, self._masker) for event in batch]
        for sink in tuple(self._sinks):
            self._guarded(sink, functools.partial(_handle_all, sink.handle, batch))

    def _guarded(self, sink: EventSink, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 -- a sink may raise anything; the run must not notice
            self._sinks.remove(sink)
            if not isinstance(error, BrokenPipeError):
                _report(sink, error, self._masker)


def _handle_all(handle: Callable[[Event], None], batch: Sequence[Event]) -> None:
    for event in batch:
        handle(event)


def _report(sink: EventSink, error: Exception, masker: Masker | None) -> None:
    text = f"warning: {type(sink).__name__} stopped: {type(error).__name__}: {error}\n"
    try:
        sys.stderr.write(masker.text(text) if masker else text)
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return
