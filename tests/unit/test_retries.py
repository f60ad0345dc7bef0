import math

import pytest

from sqlbuild.retries import RetryAfter, RetryPolicy


def test_delays_grow_by_the_multiplier_up_to_the_maximum():
    policy = RetryPolicy(
        max_attempts=6, initial_delay_seconds=1, backoff_multiplier=3, max_delay_seconds=10, jitter=False
    )
    delays = [policy.delay_after(attempt, OSError(), 0.0) for attempt in range(1, 7)]
    assert delays == [1, 3, 9, 10, 10, None]


@pytest.mark.parametrize(("draw", "expected"), [(0.0, 1.0), (0.5, 1.5), (1.0, 2.0)])
def test_jitter_scales_the_delay_between_half_and_whole(draw, expected):
    policy = RetryPolicy(initial_delay_seconds=2)
    assert policy.delay_after(1, OSError(), 0.0, jitter_draw=draw) == expected


def test_only_listed_exceptions_are_retried():
    policy = RetryPolicy(retry_on=(OSError, KeyError), jitter=False)
    assert policy.delay_after(1, ConnectionError(), 0.0) == 1.0
    assert policy.delay_after(1, ValueError(), 0.0) is None
    assert policy.delay_after(1, KeyboardInterrupt(), 0.0) is None


def test_no_attempt_begins_after_the_elapsed_limit():
    policy = RetryPolicy(max_elapsed_seconds=5, jitter=False)
    assert policy.delay_after(1, OSError(), 4.0) == 1.0
    assert policy.delay_after(1, OSError(), 4.001) is None


def test_a_huge_exponent_does_not_overflow():
    policy = RetryPolicy(max_attempts=10_000, backoff_multiplier=10.0, jitter=False)
    assert policy.delay_after(9_000, OSError(), 0.0) == 30.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_attempts", "3"),
        ("max_attempts", 1.5),
        ("max_attempts", True),
        ("max_attempts", 0),
        ("retry_on", ()),
        ("retry_on", BaseException),
        ("retry_on", "OSError"),
        ("retry_on", [OSError]),
        ("initial_delay_seconds", -1),
        ("initial_delay_seconds", math.nan),
        ("backoff_multiplier", 0.5),
        ("max_delay_seconds", math.inf),
        ("max_elapsed_seconds", "10"),
        ("jitter", 1),
    ],
)
def test_a_senseless_field_is_refused_by_name(field, value):
    with pytest.raises((TypeError, ValueError), match=field):
        RetryPolicy(**{field: value})


def test_the_number_of_attempts_may_stand_alone_and_everything_else_has_a_name():
    assert RetryPolicy(5, jitter=False) == RetryPolicy(max_attempts=5, jitter=False)
    with pytest.raises(TypeError, match="positional"):
        RetryPolicy(5, OSError)


def test_retry_after_keeps_the_seconds():
    assert RetryAfter(2).seconds == 2.0
    with pytest.raises(ValueError, match="seconds"):
        RetryAfter(-1)


def test_a_group_is_retried_if_each_of_its_members_is():
    policy = RetryPolicy(retry_on=OSError, jitter=False)
    inner = ExceptionGroup("inner", [ConnectionError()])
    assert policy.delay_after(1, ExceptionGroup("both", [OSError(), inner]), 0.0) == 1.0
    assert policy.delay_after(1, ExceptionGroup("one", [OSError(), ValueError()]), 0.0) is None
    assert policy.delay_after(1, BaseExceptionGroup("stop", [OSError(), KeyboardInterrupt()]), 0.0) is None
