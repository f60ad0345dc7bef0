from __future__ import annotations

import contextlib
import contextvars
import io
import logging
import sys
import threading

import anyio
import pytest

from sqlbuild.domain.masking import Masker
from sqlbuild.runner.node_output import begin_output, captured_logging, captured_output, end_output


@pytest.fixture
def told():
    """(message, level) pairs in the order in which they were logged."""
    return []


@pytest.fixture
def log(told):
    return lambda message, level, fields: told.append((message, level))


class Terminal:
    """Two streams in the place of stdout and stderr; set in the test itself, because pytest sets its own late."""

    def __init__(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()

    @contextlib.contextmanager
    def captured(self, elsewhere=None):
        with contextlib.redirect_stdout(self.out), contextlib.redirect_stderr(self.err), captured_output(elsewhere):
            yield


@pytest.fixture
def terminal():
    return Terminal()


def test_what_a_node_prints_becomes_lines_of_its_log(terminal, told, log):
    with terminal.captured():
        token = begin_output(log)
        print("one", 1)
        print("two\nthree", file=sys.stderr)
        sys.stdout.write("no end")
        end_output(token)
        print("nobody's")
    assert told == [("one 1", "print"), ("two", "stderr"), ("three", "stderr"), ("no end", "print")]
    assert (terminal.out.getvalue(), terminal.err.getvalue()) == ("nobody's\n", "")


def test_empty_lines_are_no_log_lines_and_pieces_are_joined(terminal, told, log):
    with terminal.captured():
        token = begin_output(log)
        for piece in ("a", "b", "\n", "\n", "  \n", "c\n"):
            sys.stdout.write(piece)
        sys.stdout.writelines(["d\n", "e\n"])
        sys.stdout.flush()
        end_output(token)
    assert [message for message, _ in told] == ["ab", "c", "d", "e"]


def test_of_a_progress_bar_only_what_stays_on_the_screen_is_kept(terminal, told, log):
    with terminal.captured():
        token = begin_output(log)
        for percent in range(0, 101, 10):
            sys.stderr.write(f"\r{percent} %")
        sys.stderr.write("\ndone\r\n")
        end_output(token)
    assert told == [("100 %", "stderr"), ("done", "stderr")]


def test_a_line_without_end_is_told_in_bounded_pieces(terminal, told, log):
    with terminal.captured():
        token = begin_output(log)
        for _ in range(300):
            sys.stdout.write("x" * 1_000)
        end_output(token)
    assert sum(len(message) for message, _ in told) == 300_000
    assert max(len(message) for message, _ in told) < 70_000


async def test_nodes_that_run_at_once_are_kept_apart(terminal, told):
    async def node(name: str) -> None:
        token = begin_output(lambda message, level, fields: told.append((name, message)))
        for number in range(3):
            sys.stdout.write(f"{number}")
            await anyio.sleep(0)
            print(f" of {name}")
        end_output(token)

    with terminal.captured():
        async with anyio.create_task_group() as group:
            for name in "abc":
                group.start_soon(node, name)
    for name in "abc":
        assert [message for who, message in told if who == name] == [f"{number} of {name}" for number in range(3)]


def test_a_thread_with_the_nodes_context_speaks_for_the_node(terminal, told, log):
    with terminal.captured():
        token = begin_output(log)
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(print, "from below"))
        thread.start()
        thread.join()
        end_output(token)
    assert told == [("from below", "print")]


def test_threads_of_one_node_that_print_at_once_never_mix_their_lines(terminal, told, log):
    with terminal.captured():
        token = begin_output(log)
        together = threading.Barrier(8)

        def work(thread: int) -> None:
            together.wait()
            for number in range(200):
                print(thread, "says", number)

        contexts = [contextvars.copy_context() for _ in range(8)]
        threads = [threading.Thread(target=context.run, args=(work, thread)) for thread, context in enumerate(contexts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        end_output(token)
    assert sorted(message for message, _ in told) == sorted(f"{t} says {n}" for t in range(8) for n in range(200))


async def test_tasks_that_a_node_spawns_speak_for_it(terminal, told):
    async def node(name: str) -> None:
        token = begin_output(lambda message, level, fields: told.append((name, message)))

        async def child(number: int) -> None:
            await anyio.sleep(0)
            print("child", number)
            await anyio.to_thread.run_sync(print, "thread", number)

        async with anyio.create_task_group() as children:
            for number in range(3):
                children.start_soon(child, number)
        end_output(token)

    with terminal.captured():
        async with anyio.create_task_group() as nodes:
            for name in "ab":
                nodes.start_soon(node, name)
    expected = sorted(f"{what} {number}" for what in ("child", "thread") for number in range(3))
    assert {name: sorted(message for who, message in told if who == name) for name in "ab"} == {
        "a": expected,
        "b": expected,
    }


def test_text_of_nobody_can_be_kept_out_of_stdout(terminal):
    with terminal.captured(terminal.err):
        print("a library says hello")
    assert (terminal.out.getvalue(), terminal.err.getvalue()) == ("", "a library says hello\n")


def test_the_streams_are_given_back_whatever_happens():
    before = sys.stdout, sys.stderr
    with captured_output():
        assert sys.stdout.encoding == before[0].encoding
        assert not sys.stdout.isatty()
    with pytest.raises(ZeroDivisionError), captured_output():
        raise ZeroDivisionError
    assert (sys.stdout, sys.stderr) == before


@pytest.fixture
def unconfigured(monkeypatch):
    """Called in the test itself, because pytest adds its handlers late."""
    return lambda: monkeypatch.setattr(logging.getLogger(), "handlers", [])


def test_records_of_logging_keep_their_level(terminal, told, log, unconfigured):
    unconfigured()
    with terminal.captured(), captured_logging():
        token = begin_output(log)
        logging.getLogger("any").warning("low on %s", "ink")
        logging.getLogger("any").info("from info on all is kept")
        logging.getLogger("any").debug("but not this")
        logging.getLogger("any").log(35, "of a level of its own")
        end_output(token)
        logging.getLogger("any").error("nobody's")
    assert told == [
        ("low on ink", "warning"),
        ("from info on all is kept", "info"),
        ("of a level of its own", "warning"),
    ]
    assert (logging.getLogger().handlers, logging.getLogger().level) == ([], logging.WARNING)


def test_a_traceback_is_one_message(told, log, unconfigured):
    unconfigured()
    with captured_logging():
        token = begin_output(log)
        try:
            raise LookupError("no such order")
        except LookupError:
            logging.getLogger("any").exception("could not push")
        end_output(token)
    ((message, level),) = told
    assert level == "error"
    assert message.startswith("could not push\nTraceback (most recent call last):\n")
    assert message.endswith("LookupError: no such order")


def test_a_record_that_cannot_be_made_fails_no_node(told, log, unconfigured):
    unconfigured()
    with captured_logging():
        token = begin_output(log)
        logging.getLogger("any").info("%d rows", "many")
        end_output(token)
    ((message, level),) = told
    assert (message.partition(" at ")[0], level) == ("a log message cannot be made", "warning")
    assert "test_node_output.py" in message
    assert "TypeError: %d format" in message


def test_a_record_of_nobody_is_written_as_without_us(unconfigured, capsys):
    unconfigured()
    with captured_logging():
        logging.getLogger("any").error("nobody's")
        logging.getLogger("any").info("unheard")
    assert capsys.readouterr().err == "nobody's\n"


def test_a_project_that_set_up_logging_keeps_its_way_and_the_node_its_log(told, log, monkeypatch):
    kept = io.StringIO()
    own = logging.StreamHandler(kept)
    monkeypatch.setattr(logging.getLogger(), "handlers", [own])
    with captured_logging():
        token = begin_output(log)
        logging.getLogger("any").warning("as configured")
        logging.getLogger("any").info("below the level of the root logger")
        end_output(token)
        logging.getLogger("any").warning("nobody's")
    assert (told, kept.getvalue()) == ([("as configured", "warning")], "as configured\nnobody's\n")


def test_what_a_project_logs_to_the_standard_streams_is_told_once_and_with_its_level(terminal, told, log, monkeypatch):
    with terminal.captured():
        own = logging.StreamHandler()
        own.setFormatter(logging.Formatter("%(levelname)s:%(message)s"))
        monkeypatch.setattr(logging.getLogger(), "handlers", [own])
        with captured_logging():
            token = begin_output(log)
            logging.getLogger("any").warning("of a node")
            end_output(token)
            logging.getLogger("any").warning("nobody's")
        logging.getLogger("any").warning("afterwards")
    assert told == [("of a node", "warning")]
    assert terminal.err.getvalue() == "WARNING:nobody's\nWARNING:afterwards\n"


@pytest.fixture
def masked():
    """sys.stdout and sys.stderr, captured with a masker that learns its secret later."""
    terminal, masker = Terminal(), Masker()

    @contextlib.contextmanager
    def capture():
        streams = contextlib.redirect_stdout(terminal.out), contextlib.redirect_stderr(terminal.err)
        with streams[0], streams[1], captured_output(masker=masker):
            yield

    return masker, terminal, capture


def test_what_is_nobodys_is_masked_also_when_a_secret_comes_in_pieces(masked):
    masker, terminal, capture = masked
    with capture():
        print("before abcdefgh")
        masker.add(["abcdefgh"])
        for piece in ("after abc", "def", "gh and a", "bc\n", "abc"):
            sys.stdout.write(piece)
        sys.stderr.write("abcd")
        sys.stderr.flush()
        assert terminal.err.getvalue() == "abcd", "who flushes wants to see it"
        sys.stdout.write("d")
    assert terminal.out.getvalue() == "before abcdefgh\nafter **** and abc\nabcd"


def test_a_line_that_is_too_long_is_not_cut_within_a_secret(masked, told):
    masker, _, capture = masked
    masker.add(["abcdefgh"])

    def log(message, level, fields):
        told.append(masker.text(message))

    with capture():
        token = begin_output(log)
        sys.stdout.write("x" * 65_530 + "abcdefg")
        sys.stdout.write("h and the rest\n")
        end_output(token)
    assert told == ["x" * 65_530, "**** and the rest"]


def test_a_line_of_nothing_but_secrets_is_not_kept_for_ever(masked, told, log):
    masker, _, capture = masked
    masker.add(["aaaa"])
    with capture():
        token = begin_output(log)
        sys.stdout.write("a" * 100_000)
        assert len(told) == 1
        end_output(token)
