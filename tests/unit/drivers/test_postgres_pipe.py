from __future__ import annotations

import os

import anyio
import anyio.to_thread
import pytest

from sqlbuild.drivers.postgres_pipe import HELD_BYTES, PipeBroken, RowPipe

PIECE = os.urandom(200_000)


@pytest.fixture
def anyio_backend():
    return "asyncio"  # the home loop of asyncpg


@pytest.fixture
async def pipe():
    made = RowPipe()
    yield made
    made.close()


def read_all(path):
    with open(path, "rb") as file:
        return file.read()


async def test_everything_is_read_in_order_and_then_the_end(pipe):
    found = []
    async with anyio.create_task_group() as tasks:

        async def read():
            found.append(await anyio.to_thread.run_sync(read_all, pipe.path))

        tasks.start_soon(read)
        for number in range(200):
            await pipe.write(bytes([number]) + PIECE)
        await pipe.finish()
    assert found == [b"".join(bytes([number]) + PIECE for number in range(200))]


async def test_who_writes_waits_when_nobody_reads(pipe):
    written = 0
    with anyio.move_on_after(0.2):
        while True:
            await pipe.write(PIECE)
            written += len(PIECE)
    assert HELD_BYTES <= written < 2 * HELD_BYTES


async def test_breaking_off_wakes_who_writes_and_ends_the_reading(pipe):
    async def write():
        while True:
            await pipe.write(PIECE)

    async def expect_the_break():
        with pytest.raises(PipeBroken):
            await write()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(expect_the_break)
        await anyio.wait_all_tasks_blocked()
        pipe.break_off()
    assert len(await anyio.to_thread.run_sync(read_all, pipe.path)) < 2 * HELD_BYTES
    with pytest.raises(PipeBroken):
        await pipe.finish()


async def test_closing_leaves_no_file_open():
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        pipe = RowPipe()
        await pipe.write(b"x")
        pipe.close()
        pipe.close()
    assert len(os.listdir("/dev/fd")) == before
