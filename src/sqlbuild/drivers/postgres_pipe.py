"""A pipe from the event loop of asyncio to whoever reads a file on a thread, with some room in between.

The loop is never kept waiting. Whoever writes waits as soon as enough is held, so that nothing grows when the reader is
slow; the reader works on one piece while the next ones come.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections import deque

HELD_BYTES = 16_000_000
_SYSTEM_BYTES = 1 << 20
"""Asked of the system for the pipe itself."""


class PipeBroken(Exception):
    """Nobody reads any more."""


class RowPipe:
    """Made and used on the loop; `path` can be opened for reading from any thread until `close`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reading_end: int | None
        self._writing_end: int | None
        self._reading_end, self._writing_end = os.pipe()
        self.path = f"/dev/fd/{self._reading_end}"
        os.set_blocking(self._writing_end, False)
        with contextlib.suppress(OSError, AttributeError):  # the user's pipes are large enough, or it is not Linux
            fcntl.fcntl(self._writing_end, fcntl.F_SETPIPE_SZ, _SYSTEM_BYTES)
        self._held: deque[bytes | memoryview] = deque()
        self._bytes = 0
        self._is_watched = False
        self._room: asyncio.Future[None] | None = None
        self._most = 0

    async def write(self, data: bytes) -> None:
        """Returns when there is room for more. Raises PipeBroken."""
        if self._writing_end is None:
            raise PipeBroken
        self._held.append(data)
        self._bytes += len(data)
        if not self._is_watched:
            self._pump()
        await self._until_held(HELD_BYTES)

    async def finish(self) -> None:
        """Return when everything was taken, and let the reader see the end. Raises PipeBroken."""
        if self._writing_end is None:
            raise PipeBroken
        await self._until_held(0)
        self._end_writing()

    def break_off(self) -> None:
        """What is held is dropped and the reader sees the end; may be called again."""
        self._end_writing()
        self._held.clear()
        self._bytes = 0
        if self._room is not None and not self._room.done():
            self._room.set_exception(PipeBroken())

    def close(self) -> None:
        """When nobody reads; may be called again."""
        self.break_off()
        end, self._reading_end = self._reading_end, None
        if end is not None:
            os.close(end)

    async def _until_held(self, most: int) -> None:
        if self._bytes <= most:
            return
        self._most = most
        self._room = self._loop.create_future()
        try:
            await self._room
        finally:
            self._room = None

    def _pump(self) -> None:
        """Write what the system takes; it calls again when it takes more."""
        assert self._writing_end is not None
        while self._held:
            data = self._held[0]
            try:
                count = os.write(self._writing_end, data)
            except BlockingIOError:
                break
            except BrokenPipeError:
                self.break_off()
                return
            self._bytes -= count
            if count == len(data):
                self._held.popleft()
            else:
                self._held[0] = memoryview(data)[count:]
        self._watch(bool(self._held))
        if self._bytes <= self._most and self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _watch(self, wanted: bool) -> None:
        assert self._writing_end is not None
        if wanted and not self._is_watched:
            self._loop.add_writer(self._writing_end, self._pump)
        elif self._is_watched and not wanted:
            self._loop.remove_writer(self._writing_end)
        self._is_watched = wanted

    def _end_writing(self) -> None:
        end = self._writing_end
        if end is not None:
            self._watch(False)
            self._writing_end = None
            os.close(end)
