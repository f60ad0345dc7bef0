"""A project in a folder, and `sqb` run on it as a process of its own, as a user runs it."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlbuild.app.options import Compiled
from sqlbuild.app.querying import query
from sqlbuild.domain.graph import Graph
from sqlbuild.domain.project import Project
from sqlbuild.errors import ProjectError
from sqlbuild.project.settings_file import read_settings

SETTINGS_FILE = "sqlbuild_project.toml"
_NOT_COPIED = ("target", "*.duckdb", "*.duckdb.wal", ".git", ".venv", "node_modules", "__pycache__", ".*_cache")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What the command printed with `--json`. Raises ValueError if that is no JSON."""
        return json.loads(self.stdout)

    @property
    def output(self) -> str:
        """All that a person would have seen."""
        return self.stdout + self.stderr


class ProjectFolder:
    """A project that lives as long as a test. `environ` is added to the environment of every command."""

    def __init__(self, root: Path, environ: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.environ = {**os.environ, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1", **(environ or {})}

    def write(self, files: Mapping[str, str]) -> ProjectFolder:
        """Write files by name, relative to the root; their texts may be indented as a whole."""
        named = dict(files)
        if not (self.root / SETTINGS_FILE).exists():
            named.setdefault(SETTINGS_FILE, 'name = "test_project"\n')
        for name, text in named.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return self

    def copy(self, project: str | os.PathLike[str]) -> ProjectFolder:
        """Copy the project in a folder, without what was built of it."""
        shutil.copytree(project, self.root, ignore=shutil.ignore_patterns(*_NOT_COPIED), dirs_exist_ok=True)
        return self

    def sqb(self, *arguments: str, timeout: float = 120.0) -> Finished:
        """Run `sqb` with these arguments, whatever its exit code. Raises subprocess.TimeoutExpired after `timeout` s."""
        ended = subprocess.run(
            [sys.executable, "-m", "sqlbuild", *arguments],
            cwd=self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Finished(exit_code=ended.returncode, stdout=ended.stdout, stderr=ended.stderr)

    def build(self, *arguments: str, timeout: float = 120.0) -> Finished:
        """`sqb build`, which must succeed: AssertionError with its output if it does not."""
        finished = self.sqb("build", *arguments, timeout=timeout)
        if finished.exit_code != 0:
            raise AssertionError(f"sqb build ended with {finished.exit_code}:\n{finished.output}")
        return finished

    def query(self, sql: str, *, target: str | None = None) -> list[tuple[Any, ...]]:
        """Rows of a read-only query of what was built. Raises WarehouseError, and WarehouseUnreachable before that."""
        settings, problems = read_settings(str(self.root), target=target, vars={}, environ=self.environ)
        if any(problem.severity == "error" for problem in problems):
            raise ProjectError(problems)
        project = Project(root=str(self.root), settings=settings, declarations=())
        compiled = Compiled(project=project, graph=Graph(nodes={}, downstream={}))
        # On a thread, because the event loop of an async test may be running on this one.
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: query(compiled, sql, limit=None)).result().rows

    def result(self, name: str) -> dict[str, Any]:
        """How a node ended in the last run, as it stands in target/run_results.json. Raises KeyError."""
        found = next((result for result in self._results() if name in (result["name"], result["id"])), None)
        if found is None:
            raise KeyError(f"the last run had no node {name!r}")
        return found

    def statuses(self) -> dict[str, str]:
        """The status of every node of the last run, by name."""
        return {result["name"]: result["status"] for result in self._results()}

    def _results(self) -> list[dict[str, Any]]:
        document = json.loads((self.root / "target" / "run_results.json").read_text(encoding="utf-8"))
        results: list[dict[str, Any]] = document["results"]
        return results
