"""Fault 24: many builds in one process, half of them cancelled, leave nothing behind. `nox -s soak` runs more of them."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

WARM_UP = 12
"""Runs in which libraries are loaded and pools get their size."""
MAX_GROWTH_BYTES = 16_000_000
MAX_NEW_OBJECTS = 500


@pytest.mark.timeout(7_200)
def test_builds_in_one_process_leave_nothing_behind(request, tmp_path, faulty_environ):
    runs = request.config.getoption("--soak-runs")
    script = Path(__file__).with_name("soaking.py")
    ended = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(runs)], env=faulty_environ, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    held = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(held) == runs
    assert {each["ended"] for each in held} <= {"0", "cancelled", "interrupted"}
    stopped = [each for each in held if each["ended"] != "0"]
    assert len(stopped) > runs / 4, "about half of them are"
    assert [each for each in held if each["of_the_project"] or each["children"] or each["tasks"]] == []
    begin, rest = held[:WARM_UP], held[WARM_UP:]
    for name in ("threads", "descriptors"):
        most = max(each[name] for each in begin)
        assert [each for each in rest if each[name] > most] == []
    assert max(each["objects"] for each in rest) <= max(each["objects"] for each in begin) + MAX_NEW_OBJECTS
    third = max(1, len(rest) // 3)
    early, late = ([each["bytes"] for each in part] for part in (rest[:third], rest[-third:]))
    assert statistics.median(late) - statistics.median(early) < MAX_GROWTH_BYTES
    assert ended.stderr == "", "nothing complains that it was not awaited or closed"
