import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.runner.rates import Rate, TokenBucket


def grants(bucket, moments):
    """When tokens are taken by someone who asks at each of `moments` and takes all there are."""
    taken = []
    for now in moments:
        while bucket.next_at <= now:
            bucket.take(now)
            taken.append(now)
    return taken


def assert_never_more(taken, rate):
    for first, start in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= rate.per_second * (taken[last] - start) + rate.burst


def test_a_burst_comes_at_once_and_then_one_token_each_interval():
    bucket = TokenBucket(Rate(per_second=50.0, burst=3))
    assert grants(bucket, [100.0]) == [100.0] * 3
    assert bucket.next_at == pytest.approx(100.02)
    assert bucket.next_at > 100.02


def test_an_unused_bucket_holds_no_more_than_its_burst():
    bucket = TokenBucket(Rate(per_second=10.0, burst=4))
    assert grants(bucket, [0.0, 1_000.0]) == [0.0] * 4 + [1_000.0] * 4


def test_after_a_pause_tokens_come_one_by_one():
    bucket = TokenBucket(Rate(per_second=10.0, burst=5))
    bucket.pause(7.0)
    assert grants(bucket, [6.999]) == []
    assert grants(bucket, [7.0]) == [7.0]
    assert bucket.next_at == pytest.approx(7.1)


def test_a_shorter_pause_does_not_end_a_longer_one():
    bucket = TokenBucket(None)
    assert bucket.next_at == -math.inf
    bucket.pause(9.0)
    bucket.pause(3.0)
    assert bucket.next_at == 9.0


def test_without_a_rate_there_is_no_limit_after_a_pause():
    bucket = TokenBucket(None)
    bucket.pause(1.0)
    for _ in range(100):
        bucket.take(1.0)
    assert bucket.next_at == 1.0


rates = st.builds(Rate, per_second=st.floats(0.001, 100_000.0), burst=st.integers(1, 20))


@given(rates, st.floats(0.0, 1e7), st.lists(st.floats(0.0, 3.0), max_size=60))
def test_no_window_ever_holds_more_than_its_rate_and_the_burst(rate, start, steps):
    now, moments = start, []
    for step in steps:
        now += step / rate.per_second
        moments.append(now)
    assert_never_more(grants(TokenBucket(rate), moments), rate)


@given(rates, st.floats(0.0, 1e7))
def test_who_takes_each_token_as_it_comes_gets_the_whole_rate_and_no_more(rate, start):
    bucket, now, taken = TokenBucket(rate), start, []
    while len(taken) < 120:
        now = max(now, bucket.next_at)
        bucket.take(now)
        taken.append(now)
    assert_never_more(taken, rate)
    if rate.per_second < 1_000:
        allowed = rate.per_second * (taken[-1] - taken[0]) + rate.burst
        assert len(taken) >= 0.999 * allowed - 1


@given(rates, st.lists(st.tuples(st.floats(-5.0, 20.0), st.floats(0.0, 4.0)), max_size=40))
def test_a_clock_that_jumps_and_pauses_never_give_more(rate, jumps):
    bucket, now, taken = TokenBucket(rate), 0.0, []
    for step, pause in jumps:
        now = max(now, now + step)
        if pause > 3.0:
            bucket.pause(now + pause)
        taken += grants(bucket, [now])
    assert_never_more(taken, rate)
