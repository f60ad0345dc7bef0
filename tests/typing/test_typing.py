"""The author's side under the strict mode of two type checkers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow


def _errors_of_mypy(file: Path, cache: Path) -> set[int]:
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", "--strict", f"--cache-dir={cache}", "--no-error-summary",
         "--allow-untyped-defs", "--allow-incomplete-defs", file],
        capture_output=True,
        text=True,
        cwd=HERE,
    )  # fmt: skip
    assert checked.returncode in (0, 1), checked.stdout + checked.stderr
    print(checked.stdout)
    return {int(line) for line in re.findall(rf"{file.name}:(\d+): error:", checked.stdout)}


def _errors_of_pyright(file: Path, settings: Path) -> set[int]:
    configuration = settings / "pyrightconfig.json"
    shutil.copy(file, settings)
    configuration.write_text(json.dumps({
        "include": [file.name],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        # The page leaves the return type of a node to be inferred, and the results of a query are Any.
        **dict.fromkeys(("reportUnknownVariableType", "reportUnknownMemberType", "reportUnknownArgumentType",
                         "reportUnknownParameterType", "reportUnusedFunction", "reportUnusedCoroutine"), "none"),
    }))  # fmt: skip
    checked = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--project", configuration, "--pythonpath", sys.executable],
        capture_output=True,
        text=True,
        cwd=HERE,
    )
    try:
        report = json.loads(checked.stdout)
    except ValueError:
        reason = (checked.stderr or checked.stdout).strip().splitlines()
        pytest.skip(f"pyright cannot run here: {reason[-1] if reason else 'no output'}")
    assert report["summary"]["filesAnalyzed"] == 1
    found = [each for each in report["generalDiagnostics"] if each["severity"] == "error"]
    for each in found:
        print(each["range"]["start"]["line"] + 1, each["message"])
    return {each["range"]["start"]["line"] + 1 for each in found}


@pytest.fixture(params=["mypy", "pyright"])
def errors_of(request, tmp_path):
    check = _errors_of_mypy if request.param == "mypy" else _errors_of_pyright
    return lambda file: check(file, tmp_path)


@pytest.mark.parametrize("file", sorted(HERE.glob("right_*.py")), ids=lambda file: file.stem)
def test_a_users_project_is_accepted(errors_of, file):
    assert errors_of(file) == set()


@pytest.mark.parametrize("file", sorted(HERE.glob("wrong_*.py")), ids=lambda file: file.stem)
def test_a_wrong_argument_is_a_type_error(errors_of, file):
    marked = {number for number, line in enumerate(file.read_text().splitlines(), 1) if line.endswith("# wrong")}
    assert errors_of(file) == marked
