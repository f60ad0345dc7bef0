"""Whole projects, taken through their history on both warehouses: what they hold is the same, but for the target."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import duckdb
import pytest

PROJECTS = Path(__file__).parent


class Warehouse:
    """A copy of one of the projects here, the target it is built into, and what others do with its database."""

    def __init__(self, project: Any, target: str, dsn: str | None) -> None:
        self.root: Path = project.root
        self.target = target
        self._project = project
        self._dsn = dsn

    def sqb(self, command: str, *arguments: str, code: int = 0, target: str | None = None) -> Any:
        """What it has printed with `--json`."""
        finished = self._project.sqb(command, *arguments, "--json", "--target", target or self.target)
        assert finished.code == code, finished.everything
        return finished.json

    def build(
        self, *arguments: str, code: int = 0, command: str = "build", target: str | None = None
    ) -> dict[str, str]:
        """Name -> how it ended, of every node of the run."""
        finished = self.sqb(command, *arguments, code=code, target=target)
        return {result["name"]: result["status"] for result in finished["results"]}

    def message(self, name: str) -> str:
        """What the last run said of a node that did not succeed."""
        document = json.loads((self.root / "target/run_results.json").read_text())
        (result,) = (each for each in document["results"] if each["name"] == name)
        return str(result["error"]["message"])

    def change(self, name: str, *changes: tuple[str, str]) -> None:
        text = (self.root / name).read_text()
        for before, after in changes:
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        (self.root / name).write_text(text)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """What the last one gives."""
        if self._dsn is None:
            with duckdb.connect(str(self.root / "here.duckdb")) as connection:
                return [connection.execute(each).fetchall() for each in statements][-1]
        return asyncio.run(self._on_the_server(statements))

    async def _on_the_server(self, statements: tuple[str, ...]) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self._dsn)
        try:
            return [tuple(row) for row in [await connection.fetch(each) for each in statements][-1]]
        finally:
            await connection.close()


@pytest.fixture(params=["duckdb", "postgres"])
def copied(request: pytest.FixtureRequest, project: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Warehouse]:
    """Copies the project of that name."""
    dsn = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    if dsn is not None:
        monkeypatch.setenv("PROJECT_DSN", dsn)

    def copy(name: str) -> Warehouse:
        shutil.copytree(PROJECTS / name, project.root, dirs_exist_ok=True)
        return Warehouse(project, request.param, dsn)

    return copy
