import textwrap

import pytest

from sqlbuild.errors import WarehouseError
from sqlbuild.runner.error_facts import describe_error


@pytest.fixture
def author(tmp_path):
    """Compile a piece of project code, so that its frames carry a path inside the project."""

    def load(source):
        namespace = {}
        exec(compile(textwrap.dedent(source), str(tmp_path / "tasks/t.py"), "exec"), namespace)
        return namespace

    load.root = str(tmp_path)
    return load


def raised(function, *args):
    try:
        function(*args)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def test_the_traceback_starts_at_the_authors_frame(author):
    error = raised(author("def f():\n    return g()\ndef g():\n    raise ValueError('no money')\n")["f"])
    facts = describe_error(error, author.root)
    assert (facts.type, facts.message, facts.path, facts.line) == ("ValueError", "no money", "tasks/t.py", 4)
    assert "in f" in facts.traceback
    assert "test_error_facts" not in facts.traceback


def test_causes_are_shown_with_their_own_frames(author):
    error = raised(
        author(
            """
            def f():
                try:
                    {}['key']
                except KeyError as error:
                    raise LookupError('order') from error
            """
        )["f"]
    )
    text = describe_error(error, author.root).traceback
    assert text.index("KeyError: 'key'") < text.index("direct cause") < text.index("LookupError: order")


def test_an_exception_group_shows_each_member(author):
    error = raised(author("def f():\n    raise ExceptionGroup('two', [ValueError('a'), OSError('b')])\n")["f"])
    facts = describe_error(error, author.root)
    assert facts.message.startswith("two (2 sub-exceptions): ValueError: a")
    text = facts.traceback
    assert "ValueError: a" in text
    assert "OSError: b" in text


def test_a_hostile_message_is_bounded(author):
    class Hostile(Exception):
        def __str__(self):
            raise RuntimeError

    assert describe_error(Hostile(), author.root).message == "<unprintable Hostile>"
    assert len(describe_error(ValueError("x" * 10_000_000), author.root).message) < 200_000
    assert describe_error(ValueError("\ud800"), author.root).message == "\\ud800"


def test_an_engine_error_carries_its_help_and_hides_the_driver(author):
    def engine():
        try:
            raise KeyError("driver internals")
        except KeyError as error:
            raise WarehouseError("no such table", help="build it first") from error

    facts = describe_error(raised(author("def f(engine):\n    engine()\n")["f"], engine), author.root)
    assert (facts.message, facts.help) == ("no such table", "build it first")
    assert facts.line == 2


def test_long_chains_large_groups_and_odd_notes_are_bounded():
    chained = None
    for index in range(3_000):
        error = ValueError(str(index))
        error.__cause__ = chained
        chained = error
    group = ExceptionGroup("many", [ValueError("x" * 1_000) for _ in range(20_000)])
    noted = ValueError("noted")
    noted.__notes__ = 5
    for error in (chained, group, noted):
        assert len(describe_error(error, "/nowhere").traceback) < 200_000
    assert "20000 in all" in describe_error(group, "/nowhere").traceback
