"""The command line as a process of its own, in an empty folder and with a small environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Ran = subprocess.CompletedProcess[str]


@pytest.fixture
def sqb(tmp_path: Path) -> Callable[..., Ran]:
    """`sqb("build", "--help", cwd=..., env=...)`."""

    def run(*arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None, **options: object) -> Ran:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COLUMNS": "100", **(env or {})}
        return subprocess.run(
            [sys.executable, "-m", "sqlbuild", *arguments],
            cwd=cwd or tmp_path,
            env=environment,
            text=True,
            **{"capture_output": True, "timeout": 60, **options},
        )

    return run
