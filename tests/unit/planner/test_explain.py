from __future__ import annotations

import pytest

from sqlbuild.domain.graph import Fingerprint
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.plans import Reason
from sqlbuild.domain.results import Status
from sqlbuild.planner.explain import explain, explain_use

NOW = Fingerprint(code="c0", settings="50", upstream="00", total="70")
OTHER_CODE = Fingerprint(code="c1", settings="50", upstream="00", total="71").stored()
OTHER_SETTINGS = Fingerprint(code="c0", settings="51", upstream="00", total="72").stored()
OTHER_UPSTREAM = Fingerprint(code="c0", settings="50", upstream="01", total="73").stored()
ALL_OTHER = Fingerprint(code="c1", settings="51", upstream="01", total="74").stored()


def _success(fingerprint: str | None = NOW.stored(), status: Status = Status.SUCCEEDED) -> PastNode:
    return PastNode(
        last_status=status,
        last_run_id="R1" if status is Status.SUCCEEDED else "R2",
        last_success_run_id="R1",
        last_success_fingerprint=fingerprint,
    )


def _no_success(status: Status) -> PastNode:
    return PastNode(last_status=status, last_run_id="R2")


@pytest.fixture
def fact(make_node):
    return make_node("model:fact", fingerprint=NOW)


@pytest.mark.parametrize(
    ("past", "reason", "words"),
    [
        (None, Reason.FIRST_RUN, "never built"),
        (_no_success(Status.BLOCKED), Reason.FIRST_RUN, "never built, blocked in run R2"),
        (_no_success(Status.SKIPPED), Reason.FIRST_RUN, "never built, skipped in run R2"),
        (_no_success(Status.FAILED), Reason.LAST_FAILED, "failed in run R2"),
        (_no_success(Status.UNKNOWN), Reason.LAST_FAILED, "end unknown in run R2"),
        (_success(), Reason.SELECTED, "selected, nothing changed since run R1"),
        (_success(OTHER_CODE), Reason.CODE_CHANGED, "code changed since run R1"),
        (_success(OTHER_SETTINGS), Reason.SETTINGS_CHANGED, "settings changed since run R1"),
        (_success(OTHER_UPSTREAM), Reason.UPSTREAM_CHANGED, "upstream changed since run R1"),
        (_success(ALL_OTHER), Reason.CODE_CHANGED, "code, settings and upstream changed since run R1"),
        (_success(None), Reason.CODE_CHANGED, "code changed since run R1"),
        (_success(status=Status.FAILED), Reason.LAST_FAILED, "failed in run R2"),
        (_success(status=Status.TIMED_OUT), Reason.LAST_FAILED, "timed out in run R2"),
        (_success(OTHER_CODE, Status.FAILED), Reason.CODE_CHANGED, "code changed since run R1"),
        (_success(status=Status.SKIPPED), Reason.SELECTED, "selected, nothing changed since run R1"),
    ],
)
def test_a_reason_follows_from_the_past_and_has_words(fact, past, reason, words):
    nodes = {} if past is None else {"model:fact": past}
    assert explain(fact, Past(nodes=nodes)) == (reason, words)


def test_a_missing_relation_is_a_reason_only_after_a_success(fact):
    others = frozenset({Relation("", "main", "other")})
    assert explain(fact, Past(relations=others)) == (Reason.FIRST_RUN, "never built")
    assert explain(fact, Past(nodes={"model:fact": _success()}, relations=others), required=True) == (
        Reason.RELATION_MISSING,
        "required: built in run R1, but main.fact is missing now",
    )


def test_a_required_node_is_called_so(fact):
    assert explain(fact, Past(), required=True) == (Reason.FIRST_RUN, "required: never built")


def test_a_source_is_only_ever_selected(make_node):
    assert explain(make_node("source:raw"), Past()) == (Reason.SELECTED, "selected")


@pytest.mark.parametrize(
    ("past", "warning"),
    [
        (_success(), None),
        (_success(OTHER_CODE), "asset:a uses the result of run R1 of model:fact, code changed since"),
        (
            _success(ALL_OTHER),
            "asset:a uses the result of run R1 of model:fact, code, settings and upstream changed since",
        ),
        (_success(status=Status.FAILED), "asset:a uses the result of run R1 of model:fact, failed in run R2"),
        (_success(status=Status.NOT_STARTED), "asset:a uses the result of run R1 of model:fact, not started in run R2"),
        (
            _success(OTHER_UPSTREAM, Status.CANCELLED),
            "asset:a uses the result of run R1 of model:fact, upstream changed since, cancelled in run R2",
        ),
        (None, "asset:a uses model:fact as it stands, no success of it is stored"),
        (
            _no_success(Status.SKIPPED),
            "asset:a uses model:fact as it stands, no success of it is stored, skipped in run R2",
        ),
    ],
)
def test_the_use_of_what_an_upstream_left_behind_is_explained(fact, past, warning):
    assert explain_use(fact, past, "asset:a") == warning


def test_reading_a_source_needs_no_explanation(make_node):
    assert explain_use(make_node("source:raw"), None, "asset:a") is None
