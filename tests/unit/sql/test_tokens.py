from __future__ import annotations

import pytest

from sqlbuild.sql.tokens import TokenKind, UnclosedText, tokens


def texts(sql: str) -> list[str]:
    return [token.text for token in tokens(sql)]


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("a+1.5e-3", ["a", "+", "1.5e-3"]),
        (".5 x1 é", [".5", "x1", "é"]),
        ("'it''s' 'x'", ["'it''s'", "'x'"]),
        (r"e'a\'b' E'\\' x", [r"e'a\'b'", r"E'\\'", "x"]),
        ('"a""b" c', ['"a""b"', "c"]),
        ("$$ a ' -- $$ b", ["$$ a ' -- $$", "b"]),
        ("$t$ $$ $t$ a$b$c", ["$t$ $$ $t$", "a$b$c"]),
        ("a -- b 'c\nd", ["a", "d"]),
        ("a /* b /* c */ ' */ d", ["a", "d"]),
        ("x::int[]", ["x", ":", ":", "int", "[", "]"]),
        ("$1 + ?", ["$", "1", "+", "?"]),
        ("", []),
    ],
)
def test_sql_is_cut_into_tokens(sql: str, found: list[str]) -> None:
    assert texts(sql) == found


def test_tokens_know_their_place_and_kind() -> None:
    found = list(tokens("  a 'b'", 1))
    assert [(token.start, token.end, token.kind) for token in found] == [
        (2, 3, TokenKind.WORD),
        (4, 7, TokenKind.STRING),
    ]


@pytest.mark.parametrize(
    ("sql", "offset"),
    [("a 'b", 2), ("a e'b\\'", 2), ('"a', 0), ('"a""', 0), ("a /* b", 2), ("$x$ y $$", 0), ("'''", 0)],
)
def test_text_that_is_never_closed_is_told_with_its_beginning(sql: str, offset: int) -> None:
    with pytest.raises(UnclosedText) as raised:
        texts(sql)
    assert raised.value.offset == offset
