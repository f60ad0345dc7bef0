"""Worker processes of a small kind of their own, which do what their orders say."""

from __future__ import annotations

import sys
import threading

import pytest

from sqlbuild.executors.process import ProcessLane
from sqlbuild.interfaces.process_executor import WorkerDied, WorkerEnded, WorkerKilled

WORKER = """
import os, socket, sys, time
from sqlbuild.executors.message_pipe import PipeClosed, WorkerSide, encoded

pipe = WorkerSide(socket.socket(fileno=int(sys.argv[1])))
_, greeting = pipe.receive()
while True:
    try:
        message = pipe.receive()
    except PipeClosed:
        break
    if message == ("close",):
        pipe.send(encoded(("tell", "warn", ("goodbye",))))
        break
    pipe.send(encoded(("began",)))
    exec(message[1], {**globals(), "say": lambda *words: pipe.send(encoded(words))})
"""


class Talk:
    """A conversation that keeps what it hears; `answers` is what it replies, one after the other."""

    def __init__(self, order: str, time_limit: float | None = None, answers: tuple[object, ...] = ()) -> None:
        self.order = order
        self.time_limit = time_limit
        self.words: list[object] = []
        self.text: dict[str, str] = {}
        self.is_closing = False
        self._answers = list(answers)
        self.began = threading.Event()

    def heard(self, message, reply):
        self.words.append(message)
        self.began.set()
        if self._answers:
            reply(("answer", self._answers.pop(0)))

    def printed(self, level, text):
        self.text[level] = self.text.get(level, "") + text

    def unsendable(self, message, error):
        return ("answer", "unsendable")

    def closing(self):
        self.is_closing = True


@pytest.fixture
def lane():
    lane = ProcessLane((sys.executable, "-c", WORKER), {"name": "greeting"})
    yield lane
    lane.close()
    lane.kill()
    while lane.alive:
        pass


def test_an_order_is_carried_out_and_its_worker_used_again(lane):
    first = lane.run(Talk("say('ended', os.getpid())"))
    second = lane.run(Talk("say('ended', os.getpid())"))
    assert isinstance(first, WorkerEnded)
    assert first == second
    assert lane.alive == 1


def test_what_it_says_is_answered_and_what_it_writes_is_heard(lane):
    talk = Talk(
        "say('ask', 1); os.write(1, b'written'); os.write(2, b'wrong'); say('ended', pipe.receive()[1])",
        answers=("an answer",),
    )
    assert lane.run(talk) == WorkerEnded("an answer")
    assert talk.words == [("ask", 1)]
    assert talk.text == {"print": "written", "stderr": "wrong"}


def test_an_answer_that_cannot_be_sent_is_replaced(lane):
    talk = Talk("say('ask', 1); say('ended', pipe.receive()[1])", answers=(threading.Lock(),))
    assert lane.run(talk) == WorkerEnded("unsendable")


@pytest.mark.parametrize(
    ("order", "how"),
    [
        ("os._exit(3)", WorkerDied("ended with exit code 3")),
        ("os.kill(os.getpid(), 9)", WorkerDied("was killed by SIGKILL", "SIGKILL")),
        ("os.kill(os.getpid(), 40)", WorkerDied("was killed by signal 40", "signal 40")),
    ],
)
def test_its_death_is_told_and_the_next_order_gets_a_new_worker(lane, order, how):
    assert lane.run(Talk(order)) == how
    assert lane.run(Talk("say('ended', 1)")) == WorkerEnded(1)


def test_an_idle_worker_that_has_died_is_not_used(lane):
    ended = lane.run(Talk("import threading; say('ended', os.getpid()); os._exit(1)"))
    assert isinstance(ended, WorkerEnded)
    assert lane.run(Talk("say('ended', 'another')")) == WorkerEnded("another")


def test_a_forked_child_that_holds_the_pipe_hides_no_death(lane):
    order = "pid = os.fork(); pid or time.sleep(30); os.kill(os.getpid(), 9)"
    assert lane.run(Talk(order)) == WorkerDied("was killed by SIGKILL", "SIGKILL")


def test_an_order_that_takes_too_long_is_killed(lane):
    talk = Talk("say('busy'); time.sleep(60)", time_limit=0.2)
    assert lane.run(talk) == WorkerKilled(late=True)
    assert talk.is_closing
    assert lane.alive == 0


def test_an_order_that_never_stops_talking_is_killed_in_time_too(lane):
    assert lane.run(Talk("while True: say('word', b'x' * 1000)", time_limit=0.2)) == WorkerKilled(late=True)


def test_what_has_arrived_at_the_deadline_counts(lane):
    talk = Talk("say('busy'); say('ended', 'in time')", time_limit=1e-9)
    assert lane.run(talk) in (WorkerEnded("in time"), WorkerKilled(late=True))
    assert lane.run(Talk("say('ended', 1)", time_limit=60)) == WorkerEnded(1)


def test_stopping_ends_what_runs_and_what_comes_later(lane):
    talk = Talk("say('busy'); time.sleep(60)")
    endings: list[object] = []
    thread = threading.Thread(target=lambda: endings.append(lane.run(talk)))
    thread.start()
    assert talk.began.wait(30)
    lane.stop()
    thread.join(30)
    assert endings == [WorkerKilled(late=False)]
    assert lane.run(Talk("say('ended', 1)")) == WorkerKilled(late=False)


def test_closing_lets_idle_workers_say_goodbye(lane):
    lane.run(Talk("say('ended', 1)"))
    lane.close()
    while lane.alive:
        pass
    assert lane.last_words() == [("tell", "warn", ("goodbye",))]


def test_a_worker_that_cannot_be_started_is_an_error():
    lane = ProcessLane(("/nowhere/python",), {})
    with pytest.raises(OSError, match="nowhere"):
        lane.run(Talk(""))
