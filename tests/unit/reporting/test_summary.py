from __future__ import annotations

from sqlbuild.domain.results import SkipMode
from sqlbuild.reporting.summary import summary_lines


def test_a_run_without_trouble_is_told_in_a_few_lines(make_run, make_result):
    run = make_run(
        [make_result("model:m", duration=1.5), make_result("asset:a", duration=0.5)],
        critical_path=("model:m", "asset:a"),
    )
    assert summary_lines(run) == [
        "slowest: m 1.50 s, a 500 ms",
        "critical path: m 1.50 s > a 500 ms, together 2.00 s",
        "",
        "done in 2.00 s: 2 succeeded",
    ]


def test_a_failure_is_told_with_what_it_blocked_and_what_to_do_next(make_run, make_result, make_error):
    run = make_run(
        [
            make_result("model:m"),
            make_result("asset:a", "failed", attempt=3, error=make_error()),
            make_result("task:t", "timed_out", error=make_error("late", type="NodeTimeout")),
            make_result("asset:b", "blocked", because_of=("asset:a",)),
            make_result("asset:c", "blocked", because_of=("asset:a",)),
        ],
        exit_code=1,
    )
    assert summary_lines(run) == [
        "failed (2):",
        "  asset:a  assets/a.py:7  OSError: refused  after 3 attempts",
        "    blocked 2: b, c",
        "  task:t  assets/a.py:7  NodeTimeout: late",
        "",
        "slowest: m 250 ms, a 250 ms, t 250 ms",
        "",
        "failed in 2.00 s: 1 succeeded, 1 failed, 1 timed out, 2 blocked",
        "next: sqb retry    (goes on with this run: what did not succeed, and what depends on it)",
        "      target/run_results.json holds every result with its error",
    ]


def test_cascades_take_one_line_each_however_long_they_are(make_run, make_result):
    results = [make_result("task:t", "skipped", skip_reason="no data", skip_mode=SkipMode.HARD)]
    results += [make_result(f"asset:b{number}", "blocked", because_of=("task:t",)) for number in range(9_000)]
    results += [make_result(f"asset:s{number}", "skipped", attempt=0, because_of=("task:x",)) for number in range(3)]
    results += [make_result("asset:n", "not_started")]
    lines = summary_lines(make_run(results))
    assert lines[:3] == [
        "blocked because of task:t (9,000): b0, b1, b2, b3, b4 and 8,995 more",
        "skipped because what they depend on was (3): s0, s1, s2",
        "not started (1): n",
    ]
    assert lines[-3:] == [
        "done in 2.00 s: 9,000 blocked, 4 skipped, 1 not started",
        "next: sqb retry    (goes on with this run: what did not succeed, and what depends on it)",
        "      target/run_results.json holds every result with its error",
    ]


def test_of_many_failures_the_first_are_listed(make_run, make_result, make_error):
    run = make_run([make_result(f"task:t{number}", "failed", error=make_error()) for number in range(500)], exit_code=1)
    lines = summary_lines(run)
    assert lines[0] == "failed (500):"
    assert lines[21] == "  and 480 more: sqb list --select result:failed"
    assert len(lines) < 30


def test_a_stopped_run_says_what_stopped_it(make_run, make_result):
    stopped = [make_result("task:a", "cancelled"), make_result("task:b", "not_started")]
    by_signal = summary_lines(make_run(stopped, exit_code=130, stopped_by="SIGINT"), brief=True)
    assert by_signal[0] == "stopped by SIGINT in 2.00 s: 1 cancelled, 1 not started"
    assert by_signal[1].startswith("next: sqb retry ")
    by_failure = summary_lines(make_run(stopped, exit_code=1, stopped_by="fail-fast"), brief=True)
    assert by_failure[0].startswith("stopped at the first failure in 2.00 s: ")


def test_warnings_of_the_run_and_of_nodes_are_listed_up_to_a_limit(make_run, make_result):
    run = make_run([make_result("task:t", warnings=tuple(f"odd {number}" for number in range(30)))])
    lines = summary_lines(run, ["the clock is wrong"])
    assert lines[:3] == ["warnings (31):", "  the clock is wrong", "  t: odd 0"]
    assert lines[11] == "  and 21 more"


def test_a_long_critical_path_shows_both_ends(make_run, make_result):
    results = [make_result(f"task:t{number}", duration=1.0) for number in range(20_000)]
    run = make_run(results, critical_path=tuple(result.node_id for result in results))
    assert summary_lines(run)[1] == (
        "critical path: t0 1.00 s > t1 1.00 s > t2 1.00 s > (19,994 more) > "
        "t19997 1.00 s > t19998 1.00 s > t19999 1.00 s, together 5 h 33 m"
    )


def test_an_empty_run_is_told_too(make_run):
    assert summary_lines(make_run([], seconds=0.0)) == ["done in 0 ms: nothing to run"]


def test_a_dry_run_says_that_nothing_was_written_and_proposes_nothing(make_run, make_result, make_error):
    failed = make_result("asset:a", "failed", error=make_error())
    run = make_run([failed, make_result("model:m", "would_run", attempt=0)], exit_code=1, dry_run=True)
    assert summary_lines(run)[-1] == "dry run failed in 2.00 s: 1 failed, 1 would run; nothing was written"
    fine = make_run([make_result("model:m", "would_run", attempt=0)], dry_run=True)
    assert summary_lines(fine, brief=True) == ["dry run done in 2.00 s: 1 would run; nothing was written"]
