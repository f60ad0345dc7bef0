"""Worker processes for nodes with `isolate="process"`: started when needed, used again, killed when told to stop.

A worker is a session and process group of its own: Ctrl-C at the terminal does not reach it, and what its nodes have
started is killed with it. When the run itself is killed, a shell that waits for nothing else kills the whole group; the
worker also notices by its pipe, and on Linux the system ends it even if it is too busy to notice.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import pickle
import selectors
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from sqlbuild.executors.message_pipe import Message, PipeClosed, RunSide, encoded
from sqlbuild.interfaces.process_executor import Conversation, Ending, WorkerDied, WorkerEnded, WorkerKilled

TERM_SECONDS = 0.5
"""For the `finally` blocks of a node that is killed; then the system ends its process."""
EXIT_SECONDS = 1.0
"""For a process to end after it has closed its pipe."""
_LOOK_SECONDS = 0.25
"""How often it is seen to that a silent worker lives: a process it has forked may hold the pipe open."""
_CHUNK = 65_536
_GUARD = ("/bin/sh", "-c", 'read -r line || kill -s KILL -- "-$0"')
"""Takes a process group, and kills it if its standard input ends without a line."""


class ProcessLane:
    """As many workers as threads call `run` at once.

    `command` starts one, given the number of a file descriptor (the socket) and of the run's process as further
    arguments; `greeting` is what it is told first.
    """

    def __init__(self, command: Sequence[str], greeting: Mapping[str, Any]) -> None:
        self._command = tuple(command)
        self._greeting = encoded(("open", dict(greeting)))
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._stopping = False
        self._last_words: list[Message] = []

    def run(self, conversation: Conversation) -> Ending:
        while (worker := self._take()) is not None:
            is_new = worker.is_new
            ending: Ending | None = None
            try:
                ending = worker.work(conversation)
            finally:
                self._put_back(worker, usable=isinstance(ending, WorkerEnded))
            if is_new or worker.began or not isinstance(ending, WorkerDied):
                return ending
            # It died of what an earlier node has left in it: this one has not begun, and gets another.
        return WorkerKilled(late=False)

    def _take(self) -> _Worker | None:
        with self._lock:
            if self._stopping:
                return None
            while self._idle:
                worker = self._idle.pop()
                if not worker.has_exited():
                    return worker
                worker.kill()
                self._all.discard(worker)
            worker = _Worker(self._command, self._greeting)
            self._all.add(worker)
            return worker

    def _put_back(self, worker: _Worker, *, usable: bool) -> None:
        with self._lock:
            if usable and not self._stopping:
                self._idle.append(worker)
                return
            worker.kill()
            self._all.discard(worker)

    def stop(self) -> None:
        self._stopping = True
        with self._lock:
            for worker in self._all:
                worker.stop()

    def close(self) -> None:
        with self._lock:
            self._stopping = True
            for worker in self._idle:
                worker.hang_up()

    @property
    def alive(self) -> int:
        with self._lock:
            for worker in [worker for worker in self._all if worker.has_exited()]:
                self._last_words += worker.rest()
                worker.kill()
                self._all.discard(worker)
            return len(self._all)

    def last_words(self) -> list[Message]:
        return self._last_words

    def kill(self) -> None:
        # Without the lock: a signal handler calls it, maybe in the middle of what holds the lock.
        for worker in tuple(self._all):
            worker.signal(signal.SIGKILL)


class _Worker:
    """One process and the run's end of its three pipes: messages, standard output and standard error."""

    def __init__(self, command: Sequence[str], greeting: bytes) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [*command, str(theirs.fileno()), str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        self._guard = _guard_of(self._process.pid)
        self._pipe = RunSide(ours)
        self._pipe.send(greeting)
        self._outputs = {"print": _Output(self._process.stdout), "stderr": _Output(self._process.stderr)}
        self._replies: deque[Message] = deque()
        self._hear_bell, self._bell = socket.socketpair()
        self._hear_bell.setblocking(False)
        self._bell.setblocking(False)
        self._stopped = False
        self.is_new = True
        self.began = False
        """Whether the node of the present order has."""

    # -- one order --------------------------------------------------------------------------------------------------

    def work(self, conversation: Conversation) -> Ending:
        self.is_new, self.began = False, False
        for output in self._outputs.values():
            output.read()  # of a process that an earlier node has left behind
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            selector.register(self._hear_bell, selectors.EVENT_READ)
            for output in self._outputs.values():
                if output.is_open:
                    selector.register(output, selectors.EVENT_READ)
            try:
                self._pipe.send(encoded(("order", conversation.order)))
                return self._listen(conversation, selector)
            except PipeClosed:
                return self._died(conversation)

    def _listen(self, conversation: Conversation, selector: selectors.BaseSelector) -> Ending:
        deadline: float | None = None
        while True:
            self._wait(selector, deadline)
            self._pass_output_on(conversation, selector)
            messages, is_open = self._pipe.receive()
            for message in messages:
                match message:
                    case ("began",):
                        self.began = True
                        if conversation.time_limit is not None:
                            deadline = time.monotonic() + conversation.time_limit
                    case ("ended", ending):
                        self._pass_output_on(conversation, selector, all_of_it=True)
                        return WorkerEnded(ending)
                    case _:
                        conversation.heard(message, self._reply)
            if not is_open or (not messages and self.has_exited() and not self._pipe_has_more()):
                return self._died(conversation)
            late = deadline is not None and self._is_late(deadline)
            if late or self._stopped:
                self._terminate(conversation, selector)
                return WorkerKilled(late=late)
            self._send_replies(conversation, selector)

    def _is_late(self, deadline: float) -> bool:
        """What has arrived comes first: success at the deadline is success. But a flood of words is no reason to wait."""
        late_by = time.monotonic() - deadline
        return late_by >= 0 and (late_by >= _LOOK_SECONDS or not self._pipe_has_more())

    def _wait(self, selector: selectors.BaseSelector, deadline: float | None) -> None:
        patience = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, max(0.0, deadline - time.monotonic()))
        selector.select(patience)
        try:
            while self._hear_bell.recv(_CHUNK):
                pass
        except BlockingIOError:
            return

    def _pipe_has_more(self) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            return bool(selector.select(0))

    def _reply(self, message: Message) -> None:
        self._replies.append(message)
        self._ring()

    def _ring(self) -> None:
        try:
            self._bell.send(b"!")
        except (BlockingIOError, OSError):
            return  # it is ringing already, or nobody is there any more

    def _send_replies(self, conversation: Conversation, selector: selectors.BaseSelector) -> None:
        if self._pipe.wants_to_send:
            self._pipe.flush()
        while self._replies:
            reply = self._replies.popleft()
            try:
                body = encoded(reply)
            except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
                body = encoded(conversation.unsendable(reply, error))
            self._pipe.send(body)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._pipe.wants_to_send else 0)
        selector.modify(self._pipe, events)

    def _pass_output_on(
        self, conversation: Conversation, selector: selectors.BaseSelector, *, all_of_it: bool = False
    ) -> None:
        for level, output in self._outputs.items():
            while output.is_open:
                text = output.read()
                if text:
                    conversation.printed(level, text)
                if not output.is_open:
                    selector.unregister(output)
                elif not text or not all_of_it:
                    break

    # -- endings ----------------------------------------------------------------------------------------------------

    def _terminate(self, conversation: Conversation, selector: selectors.BaseSelector) -> None:
        """Let the node clean up for a moment; what it still logs is heard, nothing else is done for it."""
        conversation.closing()
        self.signal(signal.SIGTERM)
        give_up_at = time.monotonic() + TERM_SECONDS
        try:
            while time.monotonic() < give_up_at:
                self._wait(selector, give_up_at)
                self._pass_output_on(conversation, selector)
                messages, is_open = self._pipe.receive()
                for message in messages:
                    if message[0] == "ended":
                        return
                    conversation.heard(message, self._reply)
                if not is_open:
                    return
                self._send_replies(conversation, selector)
        except PipeClosed:
            return
        finally:
            self.kill()

    def _died(self, conversation: Conversation) -> WorkerDied:
        give_up_at = time.monotonic() + EXIT_SECONDS
        while not self.has_exited() and time.monotonic() < give_up_at:
            time.sleep(0.005)
        has_exited = self.has_exited()
        for level, output in self._outputs.items():
            while output.is_open and (text := output.read()):
                conversation.printed(level, text)
        code = self.kill()
        if not has_exited:
            return WorkerDied("closed its connection to the run")
        if code < 0:
            name = _signal_name(-code)
            return WorkerDied(f"was killed by {name}", name)
        return WorkerDied(f"ended with exit code {code}")

    def stop(self) -> None:
        """From any thread: what it works on is stopped."""
        self._stopped = True
        self._ring()

    def hang_up(self) -> None:
        """An idle worker closes what its nodes have shared, and ends."""
        with contextlib.suppress(PipeClosed):
            self._pipe.send(encoded(("close",)))

    def rest(self) -> list[Message]:
        """Of a worker that has exited: what it has said and nobody has heard yet."""
        heard: list[Message] = []
        is_open = True
        while is_open and self._pipe_has_more():
            messages, is_open = self._pipe.receive()
            heard += messages
        return heard

    def has_exited(self) -> bool:
        return self._process.returncode is not None or self._exit_status() is not None

    def _exit_status(self) -> tuple[int, int] | None:
        """`si_code` and `si_status`. The process is not waited for: until then no other one can get its number."""
        try:
            ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # a node of the run has waited for all children of the process
            return os.CLD_EXITED, 0
        return None if ended is None else (ended.si_code, ended.si_status)

    def kill(self) -> int:
        """End it and what its nodes have started, unless it has ended in peace; gives its exit code."""
        if self._process.returncode is None:
            if self._exit_status() != (os.CLD_EXITED, 0):
                self.signal(signal.SIGKILL)
            if self._guard is not None:
                # Before the process is waited for, after which its number may become another's.
                self._guard.communicate(b"\n")
            self._process.wait()
        self._pipe.close()
        self._bell.close()
        self._hear_bell.close()
        for output in self._outputs.values():
            output.close()
        return self._process.returncode

    def signal(self, number: signal.Signals) -> None:
        try:
            if number is signal.SIGKILL:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
        except (ProcessLookupError, PermissionError):
            return


def _guard_of(group: int) -> subprocess.Popen[bytes] | None:
    nowhere = subprocess.DEVNULL
    try:
        return subprocess.Popen(
            [*_GUARD, str(group)], stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True
        )
    except OSError:  # no shell, as in the smallest containers: the worker still notices by itself
        return None


class _Output:
    """A pipe of bytes, read as text without ever waiting."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self.is_open = True
        os.set_blocking(stream.fileno(), False)

    def fileno(self) -> int:
        number: int = self._stream.fileno()
        return number

    def read(self) -> str:
        try:
            chunk = os.read(self.fileno(), _CHUNK)
        except BlockingIOError:
            return ""
        self.is_open = bool(chunk)
        return self._decode(chunk, final=not chunk)

    def close(self) -> None:
        self.is_open = False
        self._stream.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
