from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.project.macro_arguments import Arguments, WrongArguments, read_arguments
from sqlbuild.project.text_file import TextFile


def read(text: str) -> Arguments:
    return read_arguments(TextFile("models/a.sql", text), 0, inner_of(text))


def inner_of(text: str):
    """Reads `@py.up("x")` as the text in upper case."""

    def read_inner(start: int) -> tuple[object, int]:
        opening = text.index("(", start)
        inner = read_arguments(TextFile("models/a.sql", text), opening, read_inner)
        return str(inner.positional[0]).upper(), inner.end

    return read_inner


def test_python_literals_are_given_by_position_and_by_name():
    text = """("a", 'b', 42, -1, +2.5, True, None, [1, ["x"]], {"k": (1, 2)}, count=5, status='done') AS x"""
    found = read(text)
    assert found.positional == ("a", "b", 42, -1, 2.5, True, None, [1, ["x"]], {"k": (1, 2)})
    assert found.named == {"count": 5, "status": "done"}
    assert text[found.end :] == " AS x"


def test_calls_stand_wherever_values_may():
    found = read("""( @py.up("a"), [@py.up(@py.up('b'))], {"k": @py.up("c")}, x = @py.up("d"), )""")
    assert (found.positional, found.named) == (("A", ["B"], {"k": "C"}), {"x": "D"})


def test_what_stands_in_texts_and_comments_is_no_syntax():
    found = read("""(
      "a)", -- it's (
      '/* ' /* a " nested /* comment */ ( */,  # that's all
      \"\"\"@py.up("x") " \"\"\"
    )""")
    assert found.positional == ("a)", "/* ", '@py.up("x") " ')


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("(amount)", 1, "`amount` is no value: SQL is given to a macro as text"),
        ("(a.b + 1)", 1, "`a.b + 1` is no value: SQL is given to a macro as text"),
        ('(["x", y])', 7, "`y` is no value: SQL is given to a macro as text"),
        ('("ä",\n  true)', 8, "`true` is no value here"),
        ('("a" "b")', 5, "a comma is missing before this text"),
        ('("a"\n "b")', 6, "a comma is missing before this text"),
        ("(1 2)", 1, "the arguments cannot be read: invalid syntax. Perhaps you forgot a comma?"),
        ("(b'x')", 1, "`b'x'` is no value that a macro can be given"),
        ("(f'x')", 1, "`f'x'` is no value that a macro can be given"),
        ("(2j)", 1, "`2j` is no value that a macro can be given"),
        ("(...)", 1, "`...` is no value that a macro can be given"),
        ("(-True)", 1, "`-True` is no value that a macro can be given"),
        ("(*[1])", 1, "`*[1]` is no value that a macro can be given"),
        ("(**{'a': 1})", 3, "`**` is not understood here"),
        ('("\\ud800")', 1, "this text has half of a surrogate pair"),
        ("({[1]: 2})", 2, "this cannot be a key of a dictionary"),
        ('("a"', 0, "this ( is never closed"),
        ('("a"; SELECT 1)', 0, "this ( is never closed"),
        ('(["a")', 5, "this ) closes nothing"),
        ('("a)', 1, "this text is never closed"),
        ("(/* a)", 1, "this comment is never closed"),
    ],
)
def test_what_is_no_value_is_refused_at_its_place(text: str, offset: int, message: str):
    with pytest.raises(WrongArguments) as caught:
        read(text)
    assert (caught.value.offset, str(caught.value)) == (offset, message)
    assert caught.value.help


def test_a_name_that_is_given_twice_is_refused():
    with pytest.raises(WrongArguments, match=r"repeated|twice"):
        read("(a=1, a=2)")


LITERALS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)


@given(st.lists(LITERALS, max_size=4))
def test_every_literal_that_python_writes_is_read_as_it_was(values: list[object]):
    written = f"({', '.join(map(repr, values))}) rest"
    assert ast.literal_eval(repr(values)) == values
    found = read(written)
    assert list(found.positional) == values
    assert written[found.end :] == " rest"
