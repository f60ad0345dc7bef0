"""Real projects, run by `python -m sqlbuild`, that are killed, stopped and blocked."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_places import DuckDBPlace, Place, PostgresPlace

from sqlbuild.testing.project_folder import ProjectFolder

PATIENCE_SECONDS = 60.0


def clean_environ() -> dict[str, str]:
    """Without what measures coverage: it would not survive the kills, and costs time."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "SQB_"))}
    return {**kept, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}


class FaultyProject(ProjectFolder):
    """`place` is where it builds; a DuckDB file if none is given."""

    def __init__(self, root: Path, place: Place | None = None) -> None:
        super().__init__(root)
        self.environ = clean_environ()
        self.place = place if place is not None else DuckDBPlace(root)

    def start(self, *args: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sqlbuild", *args],
            cwd=self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def wait_for(self, process: subprocess.Popen[str], *names: str) -> None:
        """Until the project's nodes have made these files."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not all((self.root / name).exists() for name in names):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < give_up_at, "the nodes do not begin"

    def number_in(self, name: str) -> int:
        return int((self.root / name).read_text())

    def log(self, name: str) -> str:
        """What the last attempt of a node in the last run has said."""
        (run,) = sorted((self.root / "target/runs").iterdir())[-1:]
        return sorted((run / "logs").glob(f"{name}.*.log"))[-1].read_text()


def has_ended(process: int) -> bool:
    """Whether a process is gone, or only waits for somebody to ask how it ended."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is a fault test; the slow ones are left to `nox -s faults`."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("faults")


@pytest.fixture
def ends():
    def ends_soon(*processes: int) -> bool:
        """Whether all of them end within a few seconds."""
        give_up_at = time.monotonic() + 10
        while not all(map(has_ended, processes)):
            if time.monotonic() > give_up_at:
                for process in processes:
                    if not has_ended(process):
                        os.kill(process, 9)
                return False
        return True

    return ends_soon


@pytest.fixture(scope="session")
def faulty_environ() -> dict[str, str]:
    return clean_environ()


@pytest.fixture(scope="session")
def make_faulty() -> type[FaultyProject]:
    return FaultyProject


@pytest.fixture
def warehouse() -> str:
    """What is built on; tests that run elsewhere too are marked with `on_both`."""
    return "duckdb"


@pytest.fixture
def place(warehouse: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if warehouse == "duckdb":
        yield DuckDBPlace(tmp_path)
        return
    server = request.getfixturevalue("postgres_server")
    with server.new_database() as database:
        yield PostgresPlace(server, database)


@pytest.fixture
def faulty(tmp_path: Path, place: Place) -> FaultyProject:
    return FaultyProject(tmp_path, place).write({"sqlbuild_project.toml": place.settings()})


@pytest.fixture
def two_targets(faulty: FaultyProject) -> FaultyProject:
    """A project whose targets `dev` (the default) and `prod` have a database each, on a server a schema."""
    if isinstance(faulty.place, PostgresPlace):
        return faulty
    settings = """
        name = "faulty"
        default_target = "dev"
        [connections.one]
        database = "one.duckdb"
        [connections.two]
        database = "two.duckdb"
        [targets.dev]
        connection = "one"
        schema = "main"
        [targets.prod]
        connection = "two"
        schema = "main"
    """
    return faulty.write({"sqlbuild_project.toml": settings})
