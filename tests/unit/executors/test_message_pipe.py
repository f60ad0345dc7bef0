"""Messages arrive whole and in order, however they are cut on the way."""

from __future__ import annotations

import socket
import threading

import pytest

from sqlbuild.executors.message_pipe import PipeClosed, RunSide, WorkerSide, encoded


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield RunSide(ours), WorkerSide(theirs), theirs


def received(run: RunSide, count: int) -> list[object]:
    messages: list[object] = []
    while len(messages) < count:
        found, is_open = run.receive()
        messages += found
        assert is_open
    return messages


def test_messages_of_any_size_arrive_in_order(ends):
    run, worker, _ = ends
    sent = [("small", 1), ("large", b"x" * 3_000_000), ("small", 2)]
    sender = threading.Thread(target=lambda: [worker.send(encoded(message)) for message in sent])
    sender.start()
    assert received(run, 3) == sent
    sender.join()


def test_a_message_that_has_not_arrived_wholly_is_waited_for(ends):
    run, _, socket_of_worker = ends
    body = encoded(("one",))
    socket_of_worker.sendall(len(body).to_bytes(8, "big") + body[:3])
    assert run.receive() == ([], True)
    socket_of_worker.sendall(body[3:])
    assert run.receive() == ([("one",)], True)


def test_the_run_never_waits_for_a_worker_that_does_not_read(ends):
    run, worker, _ = ends
    message = ("rows", b"x" * 5_000_000)
    run.send(encoded(message))
    assert run.wants_to_send
    reader = threading.Thread(target=lambda: answers.append(worker.receive()))
    answers: list[object] = []
    reader.start()
    while run.wants_to_send:
        run.flush()
    reader.join()
    assert answers == [message]


def test_the_end_of_the_other_side_is_noticed_after_its_last_words(ends):
    run, worker, socket_of_worker = ends
    worker.send(encoded(("last",)))
    socket_of_worker.close()
    messages, is_open = run.receive()
    if is_open:
        _, is_open = run.receive()
    assert (messages, is_open) == ([("last",)], False)
    with pytest.raises(PipeClosed):
        run.send(encoded(("nobody", b"x" * 1_000_000)))


def test_a_worker_notices_that_the_run_is_gone(ends):
    run, worker, _ = ends
    run.close()
    with pytest.raises(PipeClosed):
        worker.receive()


def test_a_finalizer_never_waits_for_a_message_that_is_being_sent(ends):
    _, worker, _ = ends
    with worker._sending:
        assert not worker.try_send(encoded(("later",)))
    assert worker.try_send(encoded(("now",)))


def test_after_a_torn_message_nothing_more_is_sent(ends):
    run, worker, socket_of_worker = ends

    class Torn(Exception):
        pass

    class TornSocket:
        def sendall(self, data):
            socket_of_worker.sendall(data[:2])
            raise Torn

    worker._socket = TornSocket()
    with pytest.raises(Torn):
        worker.send(encoded(("torn",)))
    worker.send(encoded(("never",)))
    assert run.receive() == ([], True)
