from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from sqlbuild.domain.events import NodeLogged
from sqlbuild.domain.masking import Masker
from sqlbuild.domain.results import ErrorFacts
from sqlbuild.state.journal import FileJournal
from sqlbuild.state.node_logs import MAX_OPEN, NodeLogFiles, log_file_name, logs_of_node, runs_of_target

AT = 1_800_000_000.5


class Logs:
    """The logs of a run in a folder, with what is shown and warned of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shown: list[NodeLogged] = []
        self.warnings: list[str] = []
        self.files = NodeLogFiles(str(folder), "target/logs", show=self.shown.append, warn=self.warnings.append)

    def say(self, message: str, name: str = "orders", attempt: int = 1, **fields: object) -> None:
        self.files.said(NodeLogged(AT, f"task:{name}", name, attempt, "info", message, fields))

    def read(self, name: str = "orders", attempt: int = 1) -> str:
        return (self.folder / f"{name}.{attempt}.log").read_text()


@pytest.fixture
def logs(tmp_path):
    made = Logs(tmp_path / "runs" / "r1" / "logs")
    yield made
    made.files.close()


def messages(text: str) -> list[str]:
    return [line[34:] for line in text.splitlines()]


def test_each_attempt_of_each_node_has_a_file_of_its_own(logs):
    logs.say("one")
    logs.say("two", attempt=2)
    logs.say("three", "other", rows=3)
    logs.files.close()
    assert sorted(os.listdir(logs.folder)) == ["orders.1.log", "orders.2.log", "other.1.log"]
    assert logs.read("other") == "2027-01-15T08:00:00.500Z info     three\trows=3\n"
    assert [event.message for event in logs.shown] == ["one", "two", "three"]


def test_silence_makes_neither_a_folder_nor_a_thread(logs):
    before = set(threading.enumerate())
    assert logs.files.path("orders", 1) is None
    logs.files.close()
    assert not logs.folder.exists()
    assert not set(threading.enumerate()) - before


def test_a_line_can_be_read_while_the_run_goes_on(logs):
    logs.say("early")
    while not (logs.folder / "orders.1.log").exists() or not logs.read():
        time.sleep(0.01)
    assert messages(logs.read()) == ["early"]


def test_a_failed_attempt_leaves_its_traceback_and_the_fix(logs):
    trace = 'Traceback (most recent call last):\n  File "a.py", line 1, in a\nOSError: refused\n'
    error = ErrorFacts(type="OSError", message="refused", traceback=trace, help="is it up?")
    assert logs.files.failed("orders", 1, AT, error, 2.0) == "target/logs/orders.1.log"
    logs.files.failed("orders", 2, AT, ErrorFacts(type="OSError", message="two\nlines"), None)
    logs.files.close()
    assert logs.read() == (
        "2027-01-15T08:00:00.500Z warning  attempt 1 failed, tried again in 2 s: OSError: refused\n"
        '  Traceback (most recent call last):\n    File "a.py", line 1, in a\n  OSError: refused\n  help: is it up?\n'
    )
    assert logs.read(attempt=2) == "2027-01-15T08:00:00.500Z error    attempt 2 failed: OSError: two\n  lines\n"


def test_many_nodes_that_talk_at_once_lose_no_line_and_hold_few(logs):
    most_waiting = 0

    def talk(node: int) -> None:
        nonlocal most_waiting
        for number in range(1_000):
            logs.say(f"line {number}", f"node_{node}")
            most_waiting = max(most_waiting, len(logs.files._waiting))

    threads = [threading.Thread(target=talk, args=(node,)) for node in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logs.files.close()
    for node in range(64):
        assert messages(logs.read(f"node_{node}")) == [f"line {number}" for number in range(1_000)]
    assert most_waiting <= 2_000 + 64


def test_few_files_are_open_at_once_whatever_the_number_of_nodes(logs):
    for turn in range(3):
        for node in range(200):
            logs.say(f"turn {turn}", f"node_{node}")
        logs.files.flush()
        ours = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_link(fd)]
        assert sum(str(logs.folder) in path for path in ours) <= MAX_OPEN
    assert messages(logs.read("node_7")) == ["turn 0", "turn 1", "turn 2"]


def _is_link(descriptor: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{descriptor}")


def test_a_folder_that_cannot_be_made_is_one_warning(logs):
    logs.folder.parent.parent.mkdir(parents=True)
    logs.folder.parent.write_text("in the way")
    logs.say("one")
    logs.files.flush()
    logs.say("two", "other")
    assert logs.files.failed("orders", 1, AT, ErrorFacts(type="OSError", message="x"), None) is None
    logs.files.close()
    assert logs.warnings == ["logs of nodes cannot be written to target/logs/: Not a directory"]


def test_a_full_disk_is_one_warning_and_a_file_that_can_be_written_again_goes_on(logs):
    logs.folder.mkdir(parents=True)
    full = logs.folder / "orders.1.log"
    full.symlink_to("/dev/full")
    logs.say("lost")
    logs.say("kept", "other")
    logs.files.flush()
    assert logs.warnings == ["logs of nodes cannot be written to target/logs/: No space left on device"]
    full.unlink()
    logs.say("there is room again")
    logs.files.close()
    assert messages(logs.read().strip()) == ["there is room again"]
    assert messages(logs.read("other")) == ["kept"]
    assert len(logs.warnings) == 1


def test_what_is_said_after_the_end_is_gone(logs):
    logs.say("in time")
    logs.files.close()
    logs.say("too late")
    logs.files.close()
    assert messages(logs.read()) == ["in time"]


def test_a_signal_handler_can_close_the_logs_whatever_it_interrupts(logs):
    logs.say("in time")
    with logs.files._adding, logs.files._writing:
        logs.files.close_within(0.05)
    while not (logs.folder / "orders.1.log").exists() or not logs.read():
        time.sleep(0.01)
    assert messages(logs.read()) == ["in time"]


def test_what_is_said_by_a_finaliser_inside_of_a_write_is_no_deadlock(logs):
    with logs.files._adding, logs.files._writing:
        logs.say("from __del__")
        logs.files.flush()
    assert messages(logs.read()) == ["from __del__"]


def test_a_lone_surrogate_is_escaped(logs):
    logs.say("a\ud800b")
    logs.files.close()
    assert messages(logs.read()) == ["a\\ud800b"]


def test_a_folder_that_was_removed_is_made_again(logs):
    logs.say("one")
    logs.files.flush()
    (logs.folder / "orders.1.log").unlink()
    logs.folder.rmdir()
    logs.say("two", "other")
    logs.files.close()
    assert messages(logs.read("other")) == ["two"]


def test_a_name_of_any_length_gives_a_file_name_of_its_own():
    names = [log_file_name("a" * 300 + end, attempt) for end in "xy" for attempt in (1, 12)]
    assert len(set(names)) == 4
    assert max(map(len, names)) < 255


def test_logs_are_found_by_node_and_attempt(logs, tmp_path):
    long = "a" * 300
    for name in ("orders", "orders_2", long):
        for attempt in (10, 2):
            logs.say("x", name, attempt)
    logs.files.close()
    (logs.folder / "orders.old.log").write_text("not ours")
    runs = str(tmp_path / "runs")
    assert logs_of_node(runs, "r1", "orders") == {
        attempt: str(logs.folder / f"orders.{attempt}.log") for attempt in (2, 10)
    }
    assert list(logs_of_node(runs, "r1", long)) == [2, 10]
    assert logs_of_node(runs, "r2", "orders") == {}


def test_runs_of_a_target_are_found_newest_first(tmp_path):
    for run, target in (("r1", "dev"), ("r2", "prod"), ("r3", "dev")):
        FileJournal(str(tmp_path / run), run_id=run, target=target).close()
    (tmp_path / "r4").mkdir()
    assert runs_of_target(str(tmp_path), "dev") == ["r3", "r1"]
    assert runs_of_target(str(tmp_path / "none"), "dev") == []


def test_secrets_are_masked_in_messages_fields_and_failures(tmp_path):
    masker = Masker()
    files = NodeLogFiles(str(tmp_path), "target/logs", show=lambda event: None, warn=lambda text: None, masker=masker)
    masker.add(["s3cret!"])
    files.said(NodeLogged(AT, "task:orders", "orders", 1, "info", "told s3cret!", {"token": "s3cret!", "rows": 3}))
    error = ErrorFacts(type="OSError", message="no s3cret!", traceback="OSError: no s3cret!\n", help="s3cret!")
    files.failed("orders", 1, AT, error, None)
    files.close()
    text = (tmp_path / "orders.1.log").read_text()
    assert 'told ****\ttoken="****" rows=3\n' in text
    assert "attempt 1 failed: OSError: no ****\n  help: ****\n" in text
    assert "s3cret!" not in text
