from __future__ import annotations

import pytest
import typer

from sqlbuild.cli.options import SharedOptions, parse_vars, with_shared_options
from sqlbuild.cli.target_options import finite_seconds


@pytest.fixture
def given():
    """`given("--json", "say", "x")` runs a command of one argument and returns the options it got."""
    seen: list[SharedOptions] = []
    app = typer.Typer(rich_markup_mode=None)

    def before(options: SharedOptions) -> int:
        return 0

    def say(options: SharedOptions, word: str, loud: bool = False) -> int:
        seen.append(options)
        return len(word)

    app.callback()(with_shared_options(before))
    app.command()(with_shared_options(say))

    def run(*arguments: str) -> SharedOptions:
        assert typer.main.get_command(app).main(list(arguments), standalone_mode=False) == 1
        return seen[-1]

    return run


@pytest.mark.parametrize("arguments", [("--project-dir", "p", "say", "x"), ("say", "x", "--project-dir", "p")])
def test_an_option_counts_before_and_after_the_command(given, arguments):
    assert given(*arguments).project_dir == "p"


def test_after_the_command_wins(given):
    options = given("--project-dir", "a", "-t", "dev", "say", "x", "--project-dir", "b", "--target", "prod")
    assert (options.project_dir, options.target) == ("b", "prod")


def test_flags_add_up(given):
    options = given("--json", "-q", "say", "--debug", "x", "-v", "--no-color")
    assert all((options.json, options.quiet, options.debug, options.verbose, options.no_color))
    plain = given("say", "x")
    assert not any((plain.json, plain.quiet, plain.debug, plain.verbose, plain.no_color))


def test_vars_of_both_places_are_merged(given):
    options = given("--vars", '{"a": 1, "b": 1}', "say", "x", "--vars", '{"b": [2], "c": null}')
    assert options.vars == {"a": 1, "b": [2], "c": None}


def test_the_environment_is_handed_over(given, monkeypatch):
    monkeypatch.setenv("SQB_TEST_VALUE", "seen")
    assert given("say", "x").environ["SQB_TEST_VALUE"] == "seen"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"a"', "null", "{'a': 1}"])
def test_vars_that_are_no_object_are_refused(text):
    with pytest.raises(typer.BadParameter, match="not"):
        parse_vars(text)


@pytest.mark.parametrize("text", ["", "x", "-0.1", "nan", "inf", "1e999"])
def test_seconds_are_finite_and_not_negative(text):
    with pytest.raises(typer.BadParameter, match="number of seconds"):
        finite_seconds(text)


@pytest.fixture
def terminal(monkeypatch):
    class Terminal:
        def __init__(self, is_terminal: bool) -> None:
            self.isatty = lambda: is_terminal

    def use(is_terminal: bool) -> None:
        monkeypatch.setattr("sys.stdout", Terminal(is_terminal))

    return use


@pytest.mark.parametrize(
    ("is_terminal", "environ", "options", "live", "colour"),
    [
        (True, {"TERM": "xterm"}, {}, True, True),
        (False, {"TERM": "xterm"}, {}, False, False),
        (True, {"TERM": "dumb"}, {}, False, False),
        (True, {}, {}, False, False),
        (True, {"TERM": "xterm", "CI": "true"}, {}, False, True),
        (True, {"TERM": "xterm", "CI": "false"}, {}, True, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, {}, True, False),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, {}, True, True),
        (True, {"TERM": "xterm"}, {"no_color": True}, True, False),
        (True, {"TERM": "xterm"}, {"quiet": True}, False, True),
        (True, {"TERM": "xterm"}, {"json": True}, False, True),
    ],
)
def test_live_view_and_colours_are_for_terminals_that_have_them(terminal, is_terminal, environ, options, live, colour):
    terminal(is_terminal)
    shared = SharedOptions(environ=environ, **options)
    assert (shared.has_live_view(), shared.has_colour()) == (live, colour)
