from __future__ import annotations

import base64
import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.domain.masking import MASK, MaskedStream, Masker
from sqlbuild.errors import Problem

# A mask may stand next to anything, so a secret with a star in it could come into being by masking another one.
TEXTS = st.text(st.characters(exclude_characters="*", exclude_categories=("Cs",)))
FEW = st.text("ab1 '\"\\\n%", max_size=40)
SECRETS = st.lists(TEXTS | FEW, max_size=4)


@given(SECRETS, TEXTS | FEW, st.data())
def test_a_masked_text_never_holds_a_secret(secrets, text, data):
    for secret in secrets:
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + secret + text[at:]
    masked = Masker(secrets).text(text)
    assert not [secret for secret in secrets if len(secret) >= 4 and secret in masked]


@given(TEXTS | FEW)
def test_without_secrets_no_text_is_changed(text):
    assert Masker().text(text) == text
    assert Masker(["", "a", "abc"]).text(text) == text
    assert not Masker(["", "a", "abc"])


@given(SECRETS, FEW, st.data())
def test_a_stream_that_is_split_anywhere_gives_the_same(secrets, text, data):
    text += "".join(data.draw(st.permutations(secrets)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    masker = Masker(secrets)
    stream = MaskedStream(masker)
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert "".join([*map(stream.feed, pieces), stream.finish()]) == masker.text(text)


@given(
    SECRETS,
    st.recursive(
        st.none() | st.booleans() | st.integers() | FEW,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FEW, inner, max_size=3),
    ),
)
def test_masked_json_stays_json_and_has_no_secret_in_any_text(secrets, value):
    masker = Masker(secrets)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    masked = masker.json_text(text)
    assert json.loads(masked) == masker.plain(value)
    if masker.plain(value) == value:
        assert masked == text


def test_what_overlaps_is_masked_as_a_whole():
    assert Masker(["abcd", "cdefgh"]).text("xabcdefghx") == f"x{MASK}x"
    assert Masker(["aXa1", "aXa1aXa1"]).text("aXa1aXa1") == MASK
    assert Masker(["aaaa"]).text("aaaaaaaab") == f"{MASK}b"
    assert Masker(["abcd"]).text("abcdabcd") == MASK + MASK


SECRET = "p@ss/w0rd +'\"é\\"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        urllib.parse.quote(SECRET),
        urllib.parse.quote(SECRET, safe=""),
        urllib.parse.quote_plus(SECRET),
        urllib.parse.quote(SECRET, safe="").lower(),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(SECRET),
        SECRET.replace("'", "''"),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"user:{SECRET}".encode()).decode(),
        base64.urlsafe_b64encode(f"me:{SECRET}:more".encode()).decode(),
        base64.b64encode(f"u:{SECRET}".encode()).decode(),
    ],
)
def test_a_secret_is_found_however_it_is_written(form):
    masked = Masker([SECRET]).text(f"before {form} after")
    assert MASK in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "w0rd" not in masked
    assert base64.b64encode(SECRET.encode()).decode()[4:-6] not in masked


def test_each_line_of_a_long_secret_is_a_secret():
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n{\nhkiG9w0BAQEFAASC\n-----END KEY-----\n"
    masker = Masker([key])
    assert masker.text(key) == MASK
    assert masker.text("  hkiG9w0BAQEFAASC") == f"  {MASK}"
    assert masker.text("{") == "{"


def test_numbers_are_masked_only_if_they_are_the_secret():
    masker = Masker(["12345"])
    assert masker.json_text('{"pin":12345,"rows":123456,"told":"pin 12345"}') == (
        '{"pin":"****","rows":123456,"told":"pin ****"}'
    )
    assert masker.json_text('{"rows":123456}') == '{"rows":123456}'


def test_json_in_which_a_secret_only_spans_the_syntax_stays_as_it_is():
    assert Masker(['","b"']).json_text('["a","b"]') == '["a","b"]'


def test_secrets_that_are_added_later_are_masked_too():
    masker = Masker()
    assert masker.text("first second") == "first second"
    masker.add(["first"])
    masker.add(iter(["second", "first", "no"]))
    assert masker.text("first second no") == "**** **** no"
    assert masker.values == ("first", "second")


def test_a_problem_is_masked_in_its_words_only():
    problem = Problem(code="CODE", message="no CODE here", help="ask CODE", path="CODE.sql", line=3)
    assert Masker(["CODE"]).problem(problem) == Problem(
        code="CODE", message="no **** here", help="ask ****", path="CODE.sql", line=3
    )
    assert Masker().problem(problem) is problem


def test_a_masker_does_not_tell_its_secrets():
    assert "hidden-value" not in repr(Masker(["hidden-value"]))
