from sqlbuild.domain.results import SkipMode, Status
from sqlbuild.runner.scheduler import Ready, Scheduler, Settle


def make(edges, requires=None):
    return Scheduler({node: tuple(parents) for node, parents in edges.items()}, requires or {})


def test_roots_are_ready_at_once():
    scheduler = make({"a": "", "b": "", "c": "ab"})
    assert scheduler.begin() == [Ready("a"), Ready("b")]


def test_a_node_is_ready_when_its_last_upstream_ends():
    scheduler = make({"a": "", "b": "", "c": "ab"})
    scheduler.begin()
    assert scheduler.finished("a", Status.SUCCEEDED) == []
    assert scheduler.finished("b", Status.SUCCEEDED) == [Ready("c")]


def test_a_failure_blocks_all_descendants_with_the_first_cause():
    scheduler = make({"a": "", "b": "a", "c": "b", "x": "", "d": "cx"})
    scheduler.begin()
    blocked = scheduler.finished("a", Status.FAILED)
    assert blocked == [Settle(node, Status.BLOCKED, ("a",)) for node in "bcd"]
    assert scheduler.finished("x", Status.FAILED) == []


def test_a_hard_skip_blocks_and_a_soft_skip_does_not():
    scheduler = make({"a": "", "b": "a"})
    scheduler.begin()
    assert scheduler.finished("a", Status.SKIPPED, SkipMode.HARD) == [Settle("b", Status.BLOCKED, ("a",))]


def test_any_skips_only_when_all_upstreams_were_skipped():
    scheduler = make({"a": "", "b": "", "c": "ab"})
    scheduler.begin()
    scheduler.finished("a", Status.SKIPPED, SkipMode.SOFT)
    assert scheduler.finished("b", Status.SUCCEEDED) == [Ready("c")]


def test_all_skips_when_one_upstream_was_skipped():
    scheduler = make({"a": "", "b": "", "c": "ab", "d": "c"}, {"c": "all"})
    scheduler.begin()
    scheduler.finished("a", Status.SKIPPED, SkipMode.SOFT)
    assert scheduler.finished("b", Status.SUCCEEDED) == [
        Settle("c", Status.SKIPPED, ("a",)),
        Settle("d", Status.SKIPPED, ("c",)),
    ]


def test_none_failed_runs_after_skips_only():
    scheduler = make({"a": "", "c": "a"}, {"c": "none_failed"})
    scheduler.begin()
    assert scheduler.finished("a", Status.SKIPPED, SkipMode.SOFT) == [Ready("c")]


def test_a_failure_wins_over_a_skip_whatever_comes_first():
    scheduler = make({"a": "", "b": "", "c": "ab"}, {"c": "all"})
    scheduler.begin()
    assert scheduler.finished("a", Status.SKIPPED, SkipMode.SOFT) == []
    assert scheduler.finished("b", Status.TIMED_OUT) == [Settle("c", Status.BLOCKED, ("b",))]


def test_after_a_stop_nothing_becomes_ready_but_failures_still_block():
    scheduler = make({"a": "", "b": "", "c": "a", "d": "b", "e": ""})
    scheduler.begin()
    scheduler.stop()
    assert scheduler.finished("a", Status.CANCELLED) == []
    assert scheduler.finished("b", Status.FAILED) == [Settle("d", Status.BLOCKED, ("b",))]
    assert scheduler.settle_rest(["e"]) == [Settle("e", Status.NOT_STARTED), Settle("c", Status.NOT_STARTED)]
    assert scheduler.waiting == 0


def test_a_chain_of_20000_nodes_is_blocked_without_recursion():
    chain = {f"n{i}": (f"n{i - 1}",) if i else () for i in range(20_000)}
    scheduler = Scheduler(chain, {})
    scheduler.begin()
    assert len(scheduler.finished("n0", Status.FAILED)) == 19_999
