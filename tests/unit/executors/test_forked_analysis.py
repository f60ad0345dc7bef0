"""Each test is a program of its own: the process of the tests has threads, and then nothing is forked."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only there copies are made")

QUERIES = """
import os
import random
import signal
import threading

from sqlbuild.executors import forked_analysis
from sqlbuild.executors.forked_analysis import ForkedAnalysis
from sqlbuild.sql.analyse_query import analysis_text
from sqlbuild.sql.query_analysis import Query

QUERIES = [Query(sql=f"SELECT {number} + 1 AS a, upper('x') AS b, {'1, ' * (number % 7)} 'é'", dialect="duckdb")
           for number in range(50)]
ALONE = [analysis_text(query) for query in QUERIES]
"""


def run(program: str) -> str:
    """What it prints. It also waits for the end of every process that could print something."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", QUERIES + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stderr == ""
    return ended.stdout


def test_copies_find_the_same_in_the_same_order() -> None:
    told = run(
        """
        with ForkedAnalysis(processes=3) as analyse_all:
            print(analyse_all(QUERIES) == ALONE, analyse_all(QUERIES[:7]) == ALONE[:7], analyse_all(QUERIES[:1]) == ALONE[:1])
            copies = [copy.process for copy in analyse_all._copies]
        print(len(copies))
        for copy in copies:
            try:
                os.kill(copy, 0)
            except ProcessLookupError:
                print("gone")
        """
    )
    assert told.split() == ["True", "True", "True", "2", "gone", "gone"]


def test_few_queries_and_a_single_cpu_need_no_copies() -> None:
    told = run(
        """
        with ForkedAnalysis(processes=2) as analyse_all:
            print(analyse_all(QUERIES[:5]) == ALONE[:5], analyse_all._copies)
        with ForkedAnalysis(processes=1) as analyse_all:
            print(analyse_all(QUERIES) == ALONE, analyse_all._copies)
        """
    )
    assert told.split() == ["True", "None", "True", "[]"]


def test_a_process_with_another_thread_is_not_copied() -> None:
    told = run(
        """
        done = threading.Event()
        threading.Thread(target=done.wait).start()
        with ForkedAnalysis(processes=2) as analyse_all:
            print(analyse_all(QUERIES) == ALONE, analyse_all._copies)
        done.set()
        """
    )
    assert told.split() == ["True", "[]"]


def test_what_a_killed_copy_was_asked_is_found_without_it() -> None:
    told = run(
        """
        def analysis_text_and_kill(query):
            if analyse_all._copies:
                os.kill(analyse_all._copies[0].process, signal.SIGKILL)
            return analysis_text(query)

        with ForkedAnalysis(processes=2) as analyse_all:
            analyse_all(QUERIES)
            os.kill(analyse_all._copies[0].process, signal.SIGSTOP)
            forked_analysis.analysis_text = analysis_text_and_kill
            print(analyse_all(QUERIES) == ALONE, analyse_all._copies, analyse_all(QUERIES) == ALONE)
        """
    )
    assert told.split() == ["True", "[]", "True"]


def test_a_copy_that_has_died_before_it_is_asked_is_done_without() -> None:
    told = run(
        """
        with ForkedAnalysis(processes=2) as analyse_all:
            analyse_all(QUERIES)
            copy = analyse_all._copies[0].process
            os.kill(copy, signal.SIGKILL)
            os.waitid(os.P_PID, copy, os.WEXITED | os.WNOWAIT)
            print(analyse_all(QUERIES * 500) == ALONE * 500, analyse_all._copies)
        """
    )
    assert told.split() == ["True", "[]"]


def test_an_error_of_a_copy_is_met_by_the_process_itself() -> None:
    told = run(
        """
        def fail(query):
            raise LookupError("a bug" if os.getpid() == parent else "of the copy")

        parent = os.getpid()
        with ForkedAnalysis(processes=2) as analyse_all:
            forked_analysis.analysis_text = fail
            try:
                analyse_all(QUERIES)
            except LookupError as error:
                print(error)
        """
    )
    assert told == "a bug\n"


def test_copies_end_when_the_process_is_killed() -> None:
    told = run(
        """
        analyse_all = ForkedAnalysis(processes=3)
        print(analyse_all(QUERIES) == ALONE, len(analyse_all._copies), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    assert told.split() == ["True", "2"]


def test_signals_do_not_disturb_copies_or_reach_the_handlers_of_the_process() -> None:
    told = run(
        """
        signal.signal(signal.SIGTERM, lambda *_: print("of the process", flush=True))
        with ForkedAnalysis(processes=2) as analyse_all:
            analyse_all(QUERIES)
            copy = analyse_all._copies[0].process
            os.kill(copy, signal.SIGINT)
            print(analyse_all(QUERIES) == ALONE, len(analyse_all._copies))
            os.kill(copy, signal.SIGTERM)
            os.waitid(os.P_PID, copy, os.WEXITED | os.WNOWAIT)
            print(analyse_all(QUERIES) == ALONE, len(analyse_all._copies))
        """
    )
    assert told.split() == ["True", "1", "True", "0"]
