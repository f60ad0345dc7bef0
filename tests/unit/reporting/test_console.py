from __future__ import annotations

import io
import re

import pytest

from sqlbuild.domain.events import NodeFinished, NodeProgress, NodeStarted
from sqlbuild.domain.ids import NodeKind
from sqlbuild.reporting.console import LiveConsole
from sqlbuild.reporting.run_lines import RunLines
from sqlbuild.reporting.wording import coloured

CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("TERM", "xterm-256color")
    return Terminal()


@pytest.fixture
def console(terminal, start):
    return LiveConsole(terminal, RunLines(paint=coloured), clock=lambda: start + 2.0)


@pytest.fixture
def plan(make_graph, make_plan):
    return make_plan(make_graph({f"task:n{number}": [] for number in range(100)}))


def test_each_finished_node_is_printed_once_and_for_good(console, terminal, plan, started, make_result, start):
    console.handle(started(plan))
    for number in range(100):
        console.handle(NodeFinished(start, make_result(f"task:n{number}")))
        console.tick()
    shown = CODES.sub("", terminal.getvalue())
    for number in range(100):
        assert len(re.findall(rf"task n{number} +250 ms", shown)) == 1


def test_the_window_is_redrawn_on_each_tick_and_fits_the_width(console, terminal, plan, started, start):
    console.handle(started(plan))
    console.handle(NodeStarted(start, "task:n1", NodeKind.TASK, "n1", 1))
    console.handle(NodeProgress(start, "task:n1", 1, 2, "日本" * 60))
    console.tick()
    before = terminal.tell()
    console.tick()
    terminal.seek(before)
    redrawn = terminal.read()
    assert "\x1b[1A" in redrawn
    lines = CODES.sub("", redrawn).replace("\r", "").split("\n")
    assert lines[0].startswith("  task   n1  2.0 s  1/2 (50%)  日本")
    assert all(len(line.encode("gbk", "replace")) < 60 for line in lines)


def test_at_the_end_the_window_is_gone_and_the_summary_stays(
    console, terminal, plan, started, make_result, make_run, finished, start
):
    result = make_result("task:n1")
    console.handle(started(plan))
    console.handle(NodeStarted(start, "task:n1", NodeKind.TASK, "n1", 1))
    console.tick()
    console.handle(NodeFinished(start, result))
    console.handle(finished(make_run([result])))
    console.close()
    end = terminal.getvalue()[-400:]
    assert CODES.sub("", end).endswith("\ndone in 2.00 s: 1 succeeded\n")
    assert end.rindex("\x1b[2K") < end.rindex("done")


def test_the_cursor_is_never_left_hidden(console, terminal, plan, started):
    console.handle(started(plan))
    console.tick()
    shown = terminal.getvalue()
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_without_colour_only_the_cursor_moves(terminal, plan, started, make_result, start):
    console = LiveConsole(terminal, RunLines(), colour=False, clock=lambda: start)
    console.handle(started(plan))
    console.handle(NodeFinished(start, make_result("task:n1", "failed")))
    console.tick()
    console.close()
    assert not re.search(r"\x1b\[[0-9;]*3[0-7][0-9;]*m", terminal.getvalue())


def test_lines_before_the_run_and_after_it_are_plain(console, terminal, make_run, finished):
    console.handle(finished(make_run([], exit_code=0)))
    console.close()
    assert CODES.sub("", terminal.getvalue()) == "\ndone in 2.00 s: nothing to run\n"
