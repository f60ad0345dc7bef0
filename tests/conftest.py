"""Shared by all tests: every async test runs on asyncio and trio, and stops at a deadline on both."""

from __future__ import annotations

import functools
import inspect
import signal
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import anyio
import pytest

from postgres_server import NoServer, PostgresServer, running_server

# A job in the background of a script is started with SIGINT ignored, one of nohup with SIGHUP, and hands that on to
# what the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)


DEFAULT_DEADLINE_SECONDS = 30.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak-runs", type=int, default=24, metavar="N", help="builds of tests/faults/test_soak.py")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One for each process of tests; whoever stops it starts it again."""
    try:
        with running_server(tcp=True) as server:
            yield server
    except NoServer as error:
        pytest.skip(str(error))


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """DSN of an empty database of the test's own."""
    with postgres_server.new_database() as name:
        yield postgres_server.dsn(name)


@pytest.fixture
def on_server(postgres_server: PostgresServer, postgres_url: str) -> Callable[[str], list[list[str]]]:
    """Run SQL in that database as the superuser, beside what is tested; rows of texts."""
    database = urlsplit(postgres_url).path.strip("/")
    return lambda sql: postgres_server.sql(sql, database=database)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bound async tests from inside the loop: pytest-timeout's signal does not reach a hanging trio loop."""
    for item in items:
        test = getattr(item, "obj", None)
        if inspect.iscoroutinefunction(test):
            marker = item.get_closest_marker("deadline")
            item.obj = _bounded(test, marker.args[0] if marker else DEFAULT_DEADLINE_SECONDS)  # type: ignore[attr-defined]


def _bounded(test, seconds):  # type: ignore[no-untyped-def]
    @functools.wraps(test)
    async def bounded(*args, **kwargs):  # type: ignore[no-untyped-def]
        with anyio.fail_after(seconds):
            return await test(*args, **kwargs)

    return bounded
