from __future__ import annotations

import re

import pytest

from sqlbuild.domain.pattern import pattern


def test_a_pattern_is_compiled_when_it_is_first_used():
    wrong = pattern("(")
    with pytest.raises(re.error):
        wrong.match("(")


def test_a_pattern_does_what_a_compiled_one_does():
    words = pattern(r"(?P<first>[a-z])\w*", re.IGNORECASE)
    for _ in range(2):
        assert [found["first"] for found in words.finditer("One two")] == ["O", "t"]
        assert words.fullmatch("One two") is None
        assert words.sub("-", "One two") == "- -"
    assert (words.pattern, words.groups) == (r"(?P<first>[a-z])\w*", 1)
    assert words.flags == re.IGNORECASE | re.UNICODE


def test_the_text_of_a_pattern_is_a_part_of_others():
    assert pattern(f"{pattern('a+').pattern}b").match("aab")
