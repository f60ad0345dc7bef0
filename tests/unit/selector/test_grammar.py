from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.errors import SelectionError
from sqlbuild.selector.grammar import Match, Term, parse


def _term(text: str) -> Term:
    (term,) = parse(text).terms
    return term


@pytest.mark.parametrize(
    ("text", "method", "value"),
    [
        ("orders", "name", "orders"),
        ("export_*", "name", "export_*"),
        ("asset:orders", "asset", "orders"),
        ("check:orders", "check", "orders"),
        ("tag:c++/x", "tag", "c++/x"),
        ("group:sales", "group", "sales"),
        ("path:models", "path", "models"),
        ("path:./models//marts/", "path", "models/marts"),
        ("models/marts", "path", "models/marts"),
        ("models/", "path", "models"),
        ("./", "path", ""),
        ("models/a:b.sql", "path", "models/a:b.sql"),
        ("models/a+b.sql", "path", "models/a+b.sql"),
        ("/somewhere/else", "path", "/somewhere/else"),
        ("state:new", "state", "new"),
        ("result:timed_out", "result", "timed_out"),
        ("  orders ", "name", "orders"),
    ],
)
def test_a_match_has_a_method_and_a_value(text, method, value):
    term = _term(text)
    assert (term.start.method, term.start.value, term.end, term.up, term.down) == (method, value, None, 0, 0)


@pytest.mark.parametrize(
    ("text", "up", "down"),
    [
        ("+x", None, 0),
        ("x+", 0, None),
        ("+x+", None, None),
        ("2+x", 2, 0),
        ("x+1", 0, 1),
        ("2+x+10", 2, 10),
        ("0+x", 0, 0),
        ("+tag:x+3", None, 3),
    ],
)
def test_a_plus_says_how_many_steps_up_and_down(text, up, down):
    assert (_term(text).up, _term(text).down) == (up, down)


def test_two_ends_of_a_path_keep_their_steps():
    x, y = Match(method="name", value="x", text="x"), Match(method="tag", value="y", text="tag:y")
    assert _term("2+x~tag:y+") == Term(start=x, end=y, up=2, down=None)


def test_commas_part_the_terms_of_an_intersection():
    assert [term.start.text for term in parse("tag:a, path:models ,x").terms] == ["tag:a", "path:models", "x"]


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("", "a selector is empty", "select everything"),
        (" ", "a selector is empty", "select everything"),
        ("a,,b", "selector 'a,,b', character 3: a selector is missing beside ','", "write 'a,b'"),
        ("a,", "selector 'a,', character 3: a selector is missing beside ','", "write 'a,b'"),
        (",a", "selector ',a', character 1: a selector is missing beside ','", "write 'a,b'"),
        ("+", "selector '+', character 2: a name is missing beside '+'", "'+name'"),
        ("~a", "selector '~a', character 1: a name is missing before '~'", "'from~to'"),
        ("x, a~", "selector 'x, a~', character 6: a name is missing after '~'", "'from~to'"),
        ("a~b~c", "selector 'a~b~c', character 4: a second '~'", "'a~b' and 'b~c'"),
        ("++a", "selector '++a', character 2: a '+' inside a name", "'2+name'"),
        ("a++", "selector 'a++', character 2: a '+' inside a name", "'name+'"),
        ("asset:a+b", "selector 'asset:a+b', character 8: a '+' inside a name", "'+name'"),
        ("a b", "selector 'a b', character 2: a space inside a name", "separate arguments"),
        ("tag:", "selector 'tag:', character 5: a value is missing after 'tag:'", "'tag:orders'"),
        ("assets:x", "selector 'assets:x', character 1: 'assets:' is not a way to select", "did you mean 'asset:x'?"),
        (":x", "selector ':x', character 1: ':' is not a way to select", "known are source, model"),
        ("state:old", "selector 'state:old', character 7: 'old' is not known", "known are new, changed, failed"),
        ("result:fail", "selector 'result:fail', character 8: 'fail' is not known", "did you mean 'failed'?"),
        ("12345678901+a", "selector '12345678901+a', character 1: the number of steps is too large", "all steps"),
    ],
)
def test_bad_syntax_is_told_with_its_character_and_the_fix(text, message, help):
    with pytest.raises(SelectionError) as raised:
        parse(text)
    assert str(raised.value) == message
    assert help in raised.value.help


@given(st.text(st.sampled_from("ab+~,:/*[]!?2 .é\x00") | st.characters(), max_size=30))
def test_any_text_is_read_or_refused(text):
    help = "read"
    try:
        parse(text)
    except SelectionError as error:
        help = error.help
    assert help
