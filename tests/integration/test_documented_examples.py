"""The projects that the readme and the quickstart show are built as they are shown."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sqb(tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sqlbuild", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    return run


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_the_project_of_the_readme_builds(tmp_path, sqb):
    readme = (ROOT / "README.md").read_text()
    _write(tmp_path, dict(re.findall(r"^`([\w./]+)`\n\n```\w+\n(.*?)^```", readme, re.M | re.S)))
    built = sqb("build")
    assert built.returncode == 0, built.stdout + built.stderr
    assert (tmp_path / "assets" / "report.txt").read_text() == "2 orders pushed\n"


def test_the_project_of_the_quickstart_builds(tmp_path, sqb):
    page = (ROOT / "docs" / "quickstart.md").read_text()
    _write(tmp_path, dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```', page, re.M | re.S)))
    for command in (("compile",), ("plan",), ("build",), ("show", "orders_csv")):
        done = sqb(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "orders.csv").read_text().split() == ["2,4550", "3,990"]
    results = json.loads((tmp_path / "target" / "run_results.json").read_text())
    assert results["counts"] == {"succeeded": 3}
    queried = sqb("query", "SELECT * FROM model:fact_orders ORDER BY order_id", "--json")
    assert [list(row.values()) if isinstance(row, dict) else row for row in json.loads(queried.stdout)["rows"]] == [
        [2, 4550],
        [3, 990],
    ]
