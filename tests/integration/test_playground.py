from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sqlbuild
from sqlbuild.app.new_project import create_playground

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"


@pytest.fixture
def playground(tmp_path):
    create_playground(str(tmp_path / "playground"))
    return tmp_path / "playground"


def test_the_playgrounds_own_tests_pass(playground):
    assert " passed" in _pytest_in(playground)


def test_the_tests_of_the_example_pass():
    assert " passed" in _pytest_in(EXAMPLE)


def _pytest_in(folder):
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=folder,
        env={**environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_playground_builds_from_python(playground):
    result = sqlbuild.build(playground, select="+dashboard").raise_for_failures()
    assert result["dashboard"].payload["path"].endswith("dashboard.html")
