"""Real projects in a folder, and `python -m sqlbuild` run on them as a user would."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import duckdb
import pytest

SETTINGS = 'name = "shop"\n'
POSTGRES_SETTINGS = """
    name = "shop"
    adapter = "postgres"

    [connections.server]
    dsn = "${ENV:SHOP_DSN}"

    [targets.dev]
    connection = "server"
    schema = "dev"
"""


@dataclasses.dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def everything(self) -> str:
        return self.out + self.err


class ProjectFolder:
    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, files: dict[str, str]) -> ProjectFolder:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return self

    def start(self, *args: str, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sqlbuild", *args],
            cwd=self.root,
            env={**_environment(), **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def sqb(self, *args: str, env: dict[str, str] | None = None, timeout: float = 120) -> Finished:
        process = self.start(*args, env=env, stdin=subprocess.DEVNULL)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            out, err = process.communicate()
            pytest.fail(f"sqb {' '.join(args)} hangs\n{out}\n{err}")
        assert "sqlbuild/runner/" not in out + err, f"an engine traceback is shown:\n{out}\n{err}"
        return Finished(process.returncode, out, err)

    def build(self, *args: str, **options: Any) -> Finished:
        finished = self.sqb("build", *args, **options)
        assert finished.code == 0, finished.everything
        return finished

    def rows(self, sql: str, database: str = "shop.duckdb") -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.root / database), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def statuses(self) -> dict[str, str]:
        document = json.loads((self.root / "target/run_results.json").read_text())
        return {result["id"]: result["status"] for result in document["results"]}

    def result(self, name: str) -> dict[str, Any]:
        document = json.loads((self.root / "target/run_results.json").read_text())
        return next(result for result in document["results"] if result["name"] == name)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "SQB_"))}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    return ProjectFolder(tmp_path).write({"sqlbuild_project.toml": SETTINGS})


@pytest.fixture
def postgres_project(project: ProjectFolder, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> ProjectFolder:
    """On the test's own database, whose DSN is in SHOP_DSN, in the schema `dev` unless other settings are written."""
    monkeypatch.setenv("SHOP_DSN", postgres_url)
    return project.write({"sqlbuild_project.toml": POSTGRES_SETTINGS})
