from __future__ import annotations

from sqlbuild.cli.selection_options import selection_of
from sqlbuild.domain.selection import Selection


def test_arguments_and_options_are_one_selection():
    assert selection_of(["a"], ["b"], ["c"], only=True) == Selection(select=("a", "b"), exclude=("c",), only=True)


def test_one_value_may_hold_several_selectors():
    assert selection_of(None, ["a  +b", "tag:x,c"], ["d e"]).select == ("a", "+b", "tag:x,c")
    assert selection_of(None, ["a"], ["d e"]).exclude == ("d", "e")


def test_nothing_given_means_everything():
    assert selection_of(None, None, None) == Selection()
    assert selection_of([], [], []) == Selection()


def test_an_empty_value_does_not_mean_everything():
    assert selection_of(None, [""], None).select == ("",)
    assert selection_of([" "], None, None).select == ("",)
