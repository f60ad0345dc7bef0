"""Exceptions keep their type and message on the way to another process."""

from __future__ import annotations

import pickle

import pytest

from sqlbuild.errors import NodeError, UpstreamHasNoResult, WarehouseError
from sqlbuild.retries import RetryAfter, RetryPolicy
from sqlbuild.runner.carried_errors import CarriedError, carry, uncarry


class NeedsTwo(LookupError):
    """As exceptions of HTTP libraries are: pickle calls its class with the message alone."""

    def __init__(self, code, detail):
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.socket = (each for each in ())


class Hostile(Exception):
    def __str__(self):
        raise ValueError("no text")

    def __reduce__(self):
        raise ValueError("no pickle")


class BadWhenMade(ValueError):
    def __new__(cls, *args):
        if not args:
            raise TypeError("give something")
        return super().__new__(cls, *args)

    def __reduce__(self):
        raise ValueError("no pickle")


def travelled(error: BaseException) -> BaseException:
    carried = pickle.loads(pickle.dumps(carry(error)))
    assert isinstance(carried, CarriedError)
    return uncarry(carried)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("wrong"),
        KeyError("missing"),
        FileNotFoundError(2, "no such file", "x.csv"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        KeyboardInterrupt(),
    ],
)
def test_what_pickle_can_rebuild_arrives_as_it_was(error):
    arrived = travelled(error)
    assert type(arrived) is type(error)
    assert (str(arrived), arrived.args) == (str(error), error.args)


def test_errors_of_the_engine_keep_their_help_and_facts():
    arrived = travelled(WarehouseError("no table", help="build it", sql="SELECT 1", transient=True))
    assert isinstance(arrived, WarehouseError)
    assert (arrived.help, arrived.sql, arrived.transient) == ("build it", "SELECT 1", True)
    assert isinstance(travelled(UpstreamHasNoResult("nothing")), NodeError)


def test_a_class_with_arguments_of_its_own_is_rebuilt_with_the_attributes_that_can_travel():
    arrived = travelled(NeedsTwo(503, "busy"))
    assert type(arrived) is NeedsTwo
    assert (str(arrived), arrived.code) == ("503: busy", 503)
    assert not hasattr(arrived, "socket"), "a generator stays where it is"
    assert RetryPolicy(retry_on=NeedsTwo).delay_after(1, arrived, 0) is not None


def test_what_a_service_asked_for_travels():
    assert travelled(RetryAfter(3)).seconds == 3


def test_a_class_made_inside_of_a_function_is_known_by_its_base_and_shown_by_its_name():
    class Local(NeedsTwo):
        pass

    arrived = travelled(Local(1, "x"))
    assert isinstance(arrived, NeedsTwo)
    assert (type(arrived).__name__, str(arrived)) == ("Local", "1: x")


def test_an_exception_without_text_or_pickle_still_arrives():
    arrived = travelled(Hostile())
    assert type(arrived) is Hostile
    assert arrived.args == ("<unprintable Hostile>",)


def test_a_class_that_cannot_be_made_becomes_an_error_with_its_name():
    arrived = travelled(BadWhenMade("x"))
    assert isinstance(arrived, NodeError)
    assert "BadWhenMade: x" in str(arrived)


def test_the_members_of_a_group_travel_one_by_one():
    arrived = travelled(ExceptionGroup("several", [NeedsTwo(1, "a"), ValueError("b")]))
    assert isinstance(arrived, ExceptionGroup)
    assert [type(member) for member in arrived.exceptions] == [NeedsTwo, ValueError]
    assert arrived.message == "several"


def test_notes_travel():
    error = ValueError("wrong")
    error.add_note("row 3")
    assert travelled(error).__notes__ == ["row 3"]
