from __future__ import annotations

import pytest

from sqlbuild.domain.events import (
    NodeFinished,
    NodeLogged,
    NodeProgress,
    NodeRetrying,
    RunWarning,
    WaitingForTarget,
)
from sqlbuild.domain.ids import NodeId, NodeKind
from sqlbuild.domain.masked_records import mask_result, masked_event
from sqlbuild.domain.masking import Masker
from sqlbuild.domain.results import ErrorFacts, NodeResult, SkipMode, Status

SECRET = "s3cret!"
MASKER = Masker([SECRET])
ERROR = ErrorFacts(
    type="OSError", message=f"no {SECRET}", traceback=f"at {SECRET}", path="tasks/t.py", line=3, help=SECRET
)
NODE = NodeId("task:t")


def result(**facts):
    return NodeResult(run_id="r1", node_id=NODE, kind=NodeKind.TASK, name="t", status=Status.FAILED, **facts)


def test_every_text_of_a_result_is_masked_in_place():
    found = result(
        payload=f'{{"{SECRET}":"{SECRET}"}}',
        metadata=f'["{SECRET}"]',
        error=ERROR,
        retried=(ERROR, ERROR),
        skip_reason=f"no {SECRET}",
        skip_mode=SkipMode.SOFT,
        warnings=(SECRET, "fine"),
        started_at=1.0,
    )
    mask_result(found, MASKER)
    assert SECRET not in repr(found)
    masked = ErrorFacts(type="OSError", message="no ****", traceback="at ****", path="tasks/t.py", line=3, help="****")
    assert found == result(
        payload='{"****":"****"}',
        metadata='["****"]',
        error=masked,
        retried=(masked, masked),
        skip_reason="no ****",
        skip_mode=SkipMode.SOFT,
        warnings=("****", "fine"),
        started_at=1.0,
    )


def test_a_result_that_says_nothing_stays_as_it_is():
    found = result()
    mask_result(found, MASKER)
    assert found == result()


@pytest.mark.parametrize(
    "event",
    [
        NodeLogged(1.0, NODE, "t", 1, "info", f"told {SECRET}", {SECRET: SECRET, "rows": 3}),
        NodeProgress(1.0, NODE, 1, 2, f"at {SECRET}"),
        NodeRetrying(1.0, NODE, "t", 1, 0.5, ERROR),
        RunWarning(1.0, SECRET),
        WaitingForTarget(1.0, SECRET, 0.0, 1.0),
    ],
    ids=lambda event: type(event).__name__,
)
def test_events_are_masked(event):
    masked = masked_event(event, MASKER)
    assert type(masked) is type(event)
    assert SECRET in repr(event)
    assert SECRET not in repr(masked)


@pytest.mark.parametrize("event", [NodeProgress(1.0, NODE, 1, 2, None), NodeFinished(1.0, result())], ids=repr)
def test_events_without_texts_are_handed_on(event):
    assert masked_event(event, MASKER) is event
