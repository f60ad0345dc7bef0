"""A stand-in for PgBouncer in transaction mode: each transaction of a client goes to another server connection.

    with running_pooler(folder_of_server_socket, server_port, sessions=2) as port:
        dsn = f"postgresql://postgres@127.0.0.1:{port}/postgres"

Like PgBouncer it knows no parameters of sessions but a few, and nobody resets a session between two clients. The least
recently used session comes next, so that whoever relies on what a session remembers is found out at once.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path

from anyio.abc import TaskStatus
from anyio.from_thread import start_blocking_portal

KNOWN_PARAMETERS = {"user", "database", "application_name", "client_encoding", "datestyle", "timezone"}
_SSL_REQUEST, _CANCEL_REQUEST, _GSS_REQUEST = 80877103, 80877102, 80877104


class Session:
    """One connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.greeting = b""

    async def message(self) -> tuple[bytes, bytes]:
        """Its type, and all of it."""
        head = await self.reader.readexactly(5)
        return head[:1], head + await self.reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)


class Pooler:
    def __init__(self, socket: Path, sessions: int, tls: ssl.SSLContext | None) -> None:
        self._socket = socket
        self._tls = tls
        self._limit = sessions
        self._idle: dict[bytes, collections.deque[Session]] = collections.defaultdict(collections.deque)
        self._open: list[Session] = []
        self._freed = asyncio.Condition()

    def close(self) -> None:
        for session in self._open:
            session.writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            startup = await self._startup(reader, writer)
            if startup is not None:
                await self._client(startup, reader, writer)
        writer.close()

    async def _startup(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        while True:
            size, code = struct.unpack("!II", await reader.readexactly(8))
            rest = await reader.readexactly(size - 8)
            if code == _SSL_REQUEST and self._tls is not None:
                writer.write(b"S")
                await writer.start_tls(self._tls)
                continue
            if code in (_SSL_REQUEST, _GSS_REQUEST):
                writer.write(b"N")
                continue
            if code == _CANCEL_REQUEST:
                return None
            words = rest.rstrip(b"\0").split(b"\0")
            asked = {key.decode(): value for key, value in zip(words[::2], words[1::2], strict=False)}
            if unknown := sorted(set(asked) - KNOWN_PARAMETERS):
                text = f"SFATAL\0C08P01\0Munsupported startup parameter: {unknown[0]}\0\0".encode()
                writer.write(b"E" + struct.pack("!I", len(text) + 4) + text)
                await writer.drain()
                return None
            body = b"user\0" + asked["user"] + b"\0database\0" + asked["database"] + b"\0\0"
            return struct.pack("!II", len(body) + 8, 196608) + body

    async def _client(self, startup: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = await self._take(startup)
        writer.write(session.greeting)
        await self._give_back(startup, session)
        client = Client(reader, writer)
        while await client.begins():
            session = await self._take(startup)
            try:
                await _one_transaction(client, session)
            except BaseException:
                session.writer.close()
                self._open.remove(session)
                raise
            await self._give_back(startup, session)

    async def _take(self, startup: bytes) -> Session:
        async with self._freed:
            while True:
                if len(self._open) < self._limit:
                    return await self._connect(startup)
                if self._idle[startup]:
                    return self._idle[startup].popleft()
                await self._freed.wait()

    async def _give_back(self, startup: bytes, session: Session) -> None:
        async with self._freed:
            self._idle[startup].append(session)
            self._freed.notify()

    async def _connect(self, startup: bytes) -> Session:
        session = Session(*await asyncio.open_unix_connection(str(self._socket)))
        self._open.append(session)
        session.writer.write(startup)
        kind = b""
        while kind != b"Z":
            kind, message = await session.message()
            session.greeting += message
        return session


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.said: asyncio.Task[bytes] | None = None
        """The message that comes next. It is never cancelled: half of it could have been read."""

    async def begins(self) -> bool:
        """Whether something comes, and it is not a goodbye."""
        said = self.listen()
        await asyncio.wait({said})
        return said.exception() is None and said.result()[:1] != b"X"

    def listen(self) -> asyncio.Task[bytes]:
        self.said = self.said or asyncio.create_task(self._message())
        return self.said

    def hear(self) -> bytes:
        said, self.said = self.listen(), None
        return said.result()

    async def _message(self) -> bytes:
        head = await self._reader.readexactly(5)
        return head + await self._reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)


async def _one_transaction(client: Client, session: Session) -> None:
    """From the client's first message up to the answer after which the server is in no transaction."""
    asked = 0
    answered = asyncio.create_task(session.message())
    try:
        while True:
            await asyncio.wait({client.listen(), answered}, return_when=asyncio.FIRST_COMPLETED)
            if answered.done():
                kind, answer = answered.result()
                client.writer.write(answer)
                asked -= kind == b"Z"
                if kind == b"Z" and not asked and answer[5:6] == b"I":
                    return
                answered = asyncio.create_task(session.message())
            elif client.listen().done():
                message = client.hear()
                asked += message[:1] in (b"Q", b"S")
                session.writer.write(message)
    finally:
        answered.cancel()


@contextlib.contextmanager
def running_pooler(folder: Path, port: int, *, sessions: int, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port on 127.0.0.1 of a pooler in front of the server whose socket is in `folder`; encrypted with `tls`."""

    async def serve(*, task_status: TaskStatus[int]) -> None:
        pooler = Pooler(folder / f".s.PGSQL.{port}", sessions, tls)
        server = await asyncio.start_server(pooler.serve, "127.0.0.1", 0)
        task_status.started(server.sockets[0].getsockname()[1])
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            pooler.close()

    with start_blocking_portal("asyncio") as portal:
        running, listens = portal.start_task(serve)
        try:
            yield listens
        finally:
            running.cancel()
