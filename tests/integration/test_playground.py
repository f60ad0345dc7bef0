from __future__ import annotations

import os
import subprocess
import sys

import pytest

import sqlbuild
from sqlbuild.app.new_project import create_playground


@pytest.fixture
def playground(tmp_path):
    create_playground(str(tmp_path / "playground"))
    return tmp_path / "playground"


def test_the_playgrounds_own_tests_pass(playground):
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=playground,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout


def test_the_playground_builds_from_python(playground):
    result = sqlbuild.build(playground, select="+dashboard").raise_for_failures()
    assert result["dashboard"].payload["path"].endswith("dashboard.html")
