from __future__ import annotations

import threading
import time

import pytest

from sqlbuild.domain.events import LogLinesDropped, NodeLogged, RunWarning
from sqlbuild.domain.masking import Masker
from sqlbuild.reporting.dispatcher import MAX_LOGGED, MAX_LOGGED_CHARACTERS, EventDispatcher


class Recorder:
    """Keeps what it is given; `ticked` is set by the second tick."""

    def __init__(self) -> None:
        self.handled: list[str] = []
        self.ticks = 0
        self.closed = 0
        self.ticked = threading.Event()
        self.threads: set[int] = set()

    def handle(self, event):
        self.handled.append(event.message)
        self.threads.add(threading.get_ident())

    def tick(self):
        self.ticks += 1
        if self.ticks == 2:
            self.ticked.set()

    def close(self):
        self.closed += 1


class Failing(Recorder):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def handle(self, event):
        super().handle(event)
        raise self.error


def warning(number: int) -> RunWarning:
    return RunWarning(0.0, str(number))


def test_every_event_reaches_every_sink_in_order_before_close_returns():
    sinks = [Recorder(), Recorder()]
    dispatcher = EventDispatcher(sinks)
    for number in range(10_000):
        dispatcher.publish(warning(number))
    dispatcher.close()
    for sink in sinks:
        assert sink.handled == [str(number) for number in range(10_000)]
        assert sink.closed == 1


def logged(level: str = "info", message: str = "m") -> NodeLogged:
    return NodeLogged(0.0, "task:t", "t", 1, level, message, {})


class LogRecorder(Recorder):
    """Waits with the first event, as a pipe that nobody reads; `dropped` adds up what it is told of."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()
        self.dropped: dict[str, int] = {}

    def handle(self, event):
        self.may_go_on.wait()
        if isinstance(event, LogLinesDropped):
            for level, count in event.counts.items():
                self.dropped[level] = self.dropped.get(level, 0) + count
        else:
            super().handle(event)


@pytest.mark.parametrize("message", ["short", "x" * 100_000])
def test_messages_that_nobody_takes_are_counted_and_not_kept(message):
    sink = LogRecorder()
    dispatcher = EventDispatcher([sink])
    for level, count in (("info", 30_000), ("error", 30_000)):
        for _ in range(count):
            dispatcher.publish_log(logged(level, message))
    dispatcher.publish(warning(1))
    sink.may_go_on.set()
    dispatcher.close(None)
    assert len(sink.handled) <= 2 * min(MAX_LOGGED, MAX_LOGGED_CHARACTERS // len(message) + 2) + 1
    assert len(sink.handled) - 1 + sum(sink.dropped.values()) == 60_000
    assert 0 < sink.dropped["error"] < 30_000, "warnings and above have room of their own"
    assert sink.handled[-1] == "1", "what is not a message is never dropped"


def test_events_of_many_threads_all_arrive_and_keep_each_threads_order():
    sink = Recorder()
    dispatcher = EventDispatcher([sink])

    def publish(thread: int) -> None:
        for number in range(1_000):
            dispatcher.publish(warning(thread * 1_000 + number))

    threads = [threading.Thread(target=publish, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    dispatcher.close()
    arrived = [int(message) for message in sink.handled]
    assert sorted(arrived) == list(range(8_000))
    for thread in range(8):
        own = [number for number in arrived if number // 1_000 == thread]
        assert own == sorted(own)


def test_sinks_are_called_from_one_other_thread():
    sink = Recorder()
    dispatcher = EventDispatcher([sink])
    dispatcher.publish(warning(1))
    dispatcher.close()
    assert len(sink.threads) == 1
    assert threading.get_ident() not in sink.threads


def test_sinks_are_ticked_while_nothing_happens():
    sink = Recorder()
    dispatcher = EventDispatcher([sink])
    assert sink.ticked.wait(10)
    dispatcher.close()


def test_a_sink_that_raises_is_reported_once_and_the_others_go_on(capsys):
    failing, sink = Failing(ValueError("no ink")), Recorder()
    dispatcher = EventDispatcher([failing, sink])
    for number in range(5):
        dispatcher.publish(warning(number))
    dispatcher.close()
    assert failing.handled == ["0"]
    assert failing.closed == 0
    assert sink.handled == ["0", "1", "2", "3", "4"]
    assert capsys.readouterr().err == "warning: Failing stopped: ValueError: no ink\n"


def test_a_closed_pipe_drops_the_sink_without_a_word(capsys):
    failing, sink = Failing(BrokenPipeError()), Recorder()
    dispatcher = EventDispatcher([failing, sink])
    dispatcher.publish(warning(1))
    dispatcher.close()
    assert sink.handled == ["1"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("stderr", [None, "closed"])
def test_a_report_that_cannot_be_written_does_not_matter(stderr, monkeypatch, tmp_path):
    if stderr is None:
        monkeypatch.setattr("sys.stderr", None)
    else:
        closed = (tmp_path / "err").open("w")
        closed.close()
        monkeypatch.setattr("sys.stderr", closed)
    failing, sink = Failing(ValueError("no ink")), Recorder()
    dispatcher = EventDispatcher([failing, sink])
    dispatcher.publish(warning(1))
    dispatcher.close()
    assert sink.closed == 1


def test_a_sink_that_hangs_delays_close_only_by_its_limit():
    class Hanging(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.go_on = threading.Event()

        def handle(self, event):
            self.go_on.wait()

    sink = Hanging()
    dispatcher = EventDispatcher([sink])
    dispatcher.publish(warning(1))
    before = time.monotonic()
    dispatcher.close(timeout=0.05)
    assert time.monotonic() - before < 5
    assert sink.closed == 0
    sink.go_on.set()
    dispatcher.close(timeout=None)
    assert sink.closed == 1


def test_publishing_costs_almost_nothing():
    dispatcher = EventDispatcher([])
    event = warning(1)
    before = time.perf_counter()
    for _ in range(100_000):
        dispatcher.publish(event)
    seconds = time.perf_counter() - before
    dispatcher.close()
    assert seconds / 100_000 < 5e-6


def test_no_sink_gets_a_secret_nor_is_one_told_of_a_sink_that_fails(capsys):
    masker = Masker()
    seen = []

    class Failing:
        def handle(self, event):
            seen.append(event.message)
            raise ValueError("s3cret! is no message")

        def tick(self): ...

        def close(self): ...

    dispatcher = EventDispatcher([Failing()], masker)
    masker.add(["s3cret!"])
    dispatcher.publish(RunWarning(1.0, "told s3cret!"))
    dispatcher.close()
    assert seen == ["told ****"]
    assert capsys.readouterr().err == "warning: Failing stopped: ValueError: **** is no message\n"
