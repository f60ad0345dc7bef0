from __future__ import annotations

import signal

import pytest

from sqlbuild.app.held_interrupts import held_interrupts


def press(times: int, heard: list[bool]) -> None:
    with held_interrupts() as held:
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
            heard.append(held.heard)


@pytest.mark.parametrize("times", [1, 2])
def test_a_ctrl_c_is_raised_when_it_may_come_and_a_second_one_is_not_held(times):
    heard = []
    with pytest.raises(KeyboardInterrupt):
        press(times, heard)
    assert heard == [True]


def test_without_one_nothing_is_raised_and_the_handler_is_given_back():
    before = signal.getsignal(signal.SIGINT)
    with held_interrupts() as held:
        assert not held.heard
    assert signal.getsignal(signal.SIGINT) is before


def test_where_it_is_ignored_it_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with held_interrupts():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
