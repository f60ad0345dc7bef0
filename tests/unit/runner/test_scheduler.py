from sqlbuild.domain.results import SkipMode, Status
from sqlbuild.runner.scheduler import Promote, Ready, Reject, Scheduler, Settle


def make(edges, requires=None, gates=None):
    return Scheduler({node: tuple(parents) for node, parents in edges.items()}, requires or {}, gates or {})


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


def gated():
    """A table with two gates and a reader."""
    scheduler = make({"t": "", "g": "t", "h": "t", "r": "t"}, gates={"g": "t", "h": "t"})
    assert scheduler.begin() == [Ready("t")]
    return scheduler


def test_what_is_staged_is_promoted_when_its_last_gate_has_succeeded():
    scheduler = gated()
    assert scheduler.staged("t") == [Ready("g"), Ready("h")]
    assert scheduler.finished("h", Status.SUCCEEDED) == []
    assert scheduler.finished("g", Status.WARNED) == [Promote("t")]
    assert scheduler.finished("t", Status.SUCCEEDED) == [Ready("r")]
    assert scheduler.waiting == 0


def test_what_is_staged_is_rejected_once_all_gates_have_ended_if_one_failed():
    scheduler = gated()
    scheduler.staged("t")
    assert scheduler.finished("h", Status.TIMED_OUT) == []
    assert scheduler.finished("g", Status.SUCCEEDED) == [Reject("t", ("h",))]
    assert scheduler.finished("t", Status.FAILED) == [Settle("r", Status.BLOCKED, ("t",))]


def test_gates_of_a_node_that_stages_nothing_follow_it_as_others_do():
    scheduler = gated()
    assert scheduler.finished("t", Status.FAILED) == [Settle(node, Status.BLOCKED, ("t",)) for node in "ghr"]
    scheduler = gated()
    assert scheduler.finished("t", Status.WOULD_RUN) == [Ready(node) for node in "ghr"]
    assert scheduler.finished("g", Status.WOULD_RUN) == []


def test_a_gate_waits_for_what_else_it_reads():
    scheduler = make({"t": "", "x": "", "g": "tx"}, gates={"g": "t"})
    scheduler.begin()
    assert scheduler.staged("t") == []
    assert scheduler.finished("x", Status.SUCCEEDED) == [Ready("g")]


def test_a_gate_that_is_blocked_rejects_what_it_guards_before_and_after_that_is_staged():
    scheduler = make({"t": "", "x": "", "g": "tx"}, gates={"g": "t"})
    scheduler.begin()
    scheduler.staged("t")
    assert scheduler.finished("x", Status.FAILED) == [Settle("g", Status.BLOCKED, ("x",)), Reject("t", ("g",))]
    scheduler = make({"t": "", "x": "", "g": "tx"}, gates={"g": "t"})
    scheduler.begin()
    assert scheduler.finished("x", Status.FAILED) == [Settle("g", Status.BLOCKED, ("x",))]
    assert scheduler.staged("t") == [Reject("t", ("g",))]


def test_after_a_stop_no_gate_becomes_ready():
    scheduler = gated()
    scheduler.stop()
    assert scheduler.staged("t") == []
    assert {command.node for command in scheduler.settle_rest()} == {"g", "h", "r"}


def test_whether_what_a_node_only_waits_for_was_skipped_says_nothing_of_the_node():
    edges = {"a": (), "b": (), "n": ("a", "b")}
    for skipped, expected in (("a", Ready("n")), ("b", Settle("n", Status.SKIPPED, ("b",)))):
        scheduler = Scheduler(edges, {}, not_read={("a", "n")})
        scheduler.begin()
        (other,) = {"a", "b"} - {skipped}
        scheduler.finished(other, Status.SUCCEEDED)
        assert scheduler.finished(skipped, Status.SKIPPED, SkipMode.SOFT)[0] == expected


def test_what_is_stopped_before_it_begins_never_starts():
    scheduler = Scheduler({"a": (), "b": ("a",)}, {})
    assert scheduler.waiting == 2
    scheduler.stop()
    assert scheduler.settle_rest() == [Settle("a", Status.NOT_STARTED), Settle("b", Status.NOT_STARTED)]
    assert scheduler.waiting == 0
