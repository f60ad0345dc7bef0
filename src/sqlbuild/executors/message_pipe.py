"""Messages between a run and its worker processes: length and pickle, over a socket that only the two of them have.

A message is a tuple of plain data. Pickle is safe here and nowhere else: the worker is our own child, runs the same
project as the same user, and nobody else can reach the socket.
"""

from __future__ import annotations

import pickle
import socket
import struct
import threading
from collections import deque
from typing import Any

Message = tuple[Any, ...]

_LENGTH = struct.Struct(">Q")
_CHUNK = 1 << 18


class PipeClosed(Exception):
    """The other side is gone."""


def encoded(message: Message) -> bytes:
    return pickle.dumps(message, protocol=5)


class RunSide:
    """The end that a run holds: never waits, so that a worker which does not read can still be given up."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._incoming = bytearray()
        self._outgoing: deque[memoryview] = deque()

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def wants_to_send(self) -> bool:
        return bool(self._outgoing)

    def send(self, body: bytes) -> None:
        """Send an encoded message, now or when `flush` is called because the socket takes more."""
        self._outgoing += (memoryview(_LENGTH.pack(len(body))), memoryview(body))
        self.flush()

    def flush(self) -> None:
        """Raises PipeClosed."""
        try:
            while self._outgoing:
                part = self._outgoing[0]
                sent = self._socket.send(part)
                if sent == len(part):
                    self._outgoing.popleft()
                else:
                    self._outgoing[0] = part[sent:]
        except BlockingIOError:
            return
        except OSError as error:
            raise PipeClosed from error

    def receive(self) -> tuple[list[Message], bool]:
        """The messages that have arrived, and whether the other side may send more."""
        is_open = self._read()
        messages: list[Message] = []
        start, end = 0, len(self._incoming)
        with memoryview(self._incoming) as view:
            while end - start >= _LENGTH.size:
                length = _LENGTH.unpack_from(view, start)[0]
                if end - start - _LENGTH.size < length:
                    break
                start += _LENGTH.size
                messages.append(pickle.loads(view[start : start + length]))  # noqa: S301 - from our own child
                start += length
        del self._incoming[:start]
        return messages, is_open

    def _read(self) -> bool:
        """Read once what is there, so that a worker which never stops sending cannot keep the caller here."""
        try:
            chunk = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._incoming += chunk
        return bool(chunk)

    def close(self) -> None:
        self._socket.close()


class WorkerSide:
    """The end that a worker process holds. Any of its threads may send; one receives."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        self._socket = connection
        self._sending = threading.Lock()
        self._torn = False

    def send(self, body: bytes) -> None:
        """Raises PipeClosed."""
        with self._sending:
            self._send(body)

    def try_send(self, body: bytes) -> bool:
        """Send, or return False while some thread is sending, maybe this one. Raises PipeClosed."""
        if not self._sending.acquire(blocking=False):
            return False
        try:
            self._send(body)
        finally:
            self._sending.release()
        return True

    def _send(self, body: bytes) -> None:
        if self._torn:
            return
        # A signal may stop this in the middle of a message, and then nothing that followed could be understood.
        self._torn = True
        try:
            self._socket.sendall(_LENGTH.pack(len(body)))
            self._socket.sendall(body)
        except OSError as error:
            raise PipeClosed from error
        self._torn = False

    def receive(self) -> Message:
        """Wait for the next message. Raises PipeClosed."""
        length = _LENGTH.unpack(self._exactly(_LENGTH.size))[0]
        message: Message = pickle.loads(self._exactly(length))  # noqa: S301 - from the process that started this one
        return message

    def _exactly(self, size: int) -> bytearray:
        body = bytearray(size)
        view = memoryview(body)
        while view:
            try:
                received = self._socket.recv_into(view)
            except OSError as error:
                raise PipeClosed from error
            if not received:
                raise PipeClosed
            view = view[received:]
        return body
