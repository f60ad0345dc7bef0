from __future__ import annotations

import email.message
import urllib.error

import pytest

from sqlbuild.authoring.service_waits import asked_wait, wait_to_tell
from sqlbuild.retries import RetryAfter

NOW = 1_750_000_000.0
"""Sun, 15 Jun 2025 15:06:40 GMT."""


class Answer:
    def __init__(self, **facts):
        self.__dict__.update(facts)

    def __bool__(self):
        """As requests has it: an answer with an error is false."""
        return False


class Failed(Exception):
    def __init__(self, **facts):
        super().__init__("failed")
        self.__dict__.update(facts)


def wait(error):
    return asked_wait(error, lambda: NOW)


BUSY = {"Retry-After": "2"}


@pytest.mark.parametrize(
    "error",
    [
        RetryAfter(2),
        Failed(response=Answer(status_code=429, headers=BUSY)),
        Failed(response=Answer(status_code=503, headers=BUSY)),
        Failed(response=Answer(status=429, headers=BUSY)),
        Failed(status=503, headers=BUSY),
        Failed(status=429, response=Answer(headers=BUSY)),
        Failed(status=429, headers={"retry-after": " 2 "}),
        Failed(status=429, headers={"Retry-After": b"2"}),
        Failed(status=429, headers={"Retry-After": 2}),
        Failed(status=429, headers={"Retry-After": "Sun, 15 Jun 2025 15:06:42 GMT"}),
        Failed(status=429, headers={"Retry-After": "Sunday, 15-Jun-25 15:06:42 GMT"}),
        Failed(status=429, headers={"Retry-After": "Sun Jun 15 15:06:42 2025"}),
    ],
)
def test_a_service_asks_for_two_seconds(error):
    assert wait(error) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        Failed(status=429),
        Failed(status=429, headers={}),
        Failed(status=429, headers=None),
        Failed(status=429, headers=["Retry-After"]),
        Failed(status=500, headers=BUSY),
        Failed(status="429", headers=BUSY),
        Failed(response=None, headers=BUSY),
        *(
            Failed(status=429, headers={"Retry-After": text})
            for text in (
                "",
                "soon",
                "-1",
                "nan",
                "inf",
                "1e9",
                "Sun, 31 Feb 2025 15:06:42 GMT",
                "9" * 40,
                True,
                object(),
            )
        ),
    ],
)
def test_nobody_asks_for_a_wait(error):
    assert wait(error) is None


def test_a_moment_that_is_over_means_no_wait():
    assert wait(Failed(status=429, headers={"Retry-After": "Sun, 15 Jun 2025 15:06:02 GMT"})) == 0.0


def test_the_exception_of_urllib_is_read():
    headers = email.message.Message()
    headers["retry-after"] = "7"
    assert wait(urllib.error.HTTPError("http://crm", 429, "busy", headers, None)) == 7.0


def test_attributes_that_raise_are_passed_over():
    class Hostile(Exception):
        @property
        def response(self):
            raise RuntimeError("not read yet")

        @property
        def headers(self):
            raise KeyError

    error = Hostile()
    error.status = 429
    assert wait(error) is None


def test_the_longest_wait_of_a_group_counts():
    group = ExceptionGroup("two", [RetryAfter(1), ExceptionGroup("one", [RetryAfter(5)]), ValueError()])
    assert wait(group) == 5.0


def test_what_an_exception_was_raised_from_counts():
    error = ValueError("the CRM is busy")
    error.__cause__ = RetryAfter(4)
    assert wait(error) == 4.0
    error.__cause__.__cause__ = error
    assert wait(error) == 4.0


def test_each_exception_is_told_once():
    first, second = RetryAfter(1), RetryAfter(2)
    assert wait_to_tell(first, lambda: NOW) == 1.0
    assert wait_to_tell(first, lambda: NOW) is None
    wrapped = ValueError()
    wrapped.__cause__ = first
    assert wait_to_tell(wrapped, lambda: NOW) is None
    assert wait_to_tell(ExceptionGroup("both", [first, second]), lambda: NOW) == 2.0
    assert wait(first) == 1.0
