from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.project.header_grammar import parse_header
from sqlbuild.project.located import Call, Located, plain
from sqlbuild.project.text_file import TextFile


def parse(text: str) -> tuple[object, list[str]]:
    problems = []
    header = parse_header(TextFile("models/a.sql", text), 0, problems)
    return plain(header.entries), [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("word", "word"),
        ("bounded-7d", "bounded-7d"),
        ("6h", "6h"),
        ("a.b*c/d:e", "a.b*c/d:e"),
        ("007", "007"),
        ("true", True),
        ("false", False),
        ("null", None),
        ("TRUE", "TRUE"),
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("1.5", 1.5),
        ("-2e3", -2000.0),
        ('"two words"', "two words"),
        ("'two words'", "two words"),
        ('""', ""),
        ("''", ""),
        (r'"a \"quoted\" word"', 'a "quoted" word'),
        (r'"back\\slash and \d"', r"back\slash and \d"),
        ("'it''s'", "it's"),
        (r"'it\'s'", "it's"),
        ('"two\nlines"', "two\nlines"),
        ('"""a "quoted" word"""', 'a "quoted" word'),
        ('"""he said "no\\""""', 'he said "no\\"'),
        ('"""x"""""', 'x""'),
        ('""""""', ""),
        ("[]", []),
        ("[a]", ["a"]),
        ("[a, 'b c', 3, null,]", ["a", "b c", 3, None]),
        ("[[a], (b c), [ ]]", [["a"], {"b": "c"}, []]),
        ("()", {}),
        ("(a 1, b (c [d]),)", {"a": 1, "b": {"c": ["d"]}}),
        ('("two words" 1, \'x\' 2, 3 x)', {"two words": 1, "x": 2, "3": "x"}),
        ('__seed("waffle_types")', {"__seed": ["waffle_types"]}),
        ("[not_null, accepted_values (values [a])]", ["not_null", {"accepted_values": [{"values": ["a"]}]}]),
        ('[sql("grant", role x, with (a 1), __ref("y"))]', [{"sql": ["grant", {"__ref": ["y"]}, {"role": "x", "with": {"a": 1}}]}]),
        ("-- a comment, with ( and '\n word -- another\n", "word"),
        ("/* one /* inside */ ' */ word /* x */", "word"),
    ],
)  # fmt: skip
def test_a_value_is_read(written: str, value: object):
    assert parse(f"(key {written});") == ({"key": value}, [])


@pytest.mark.parametrize(
    ("written", "type_"),
    [
        ("INTEGER", "INTEGER"),
        ("DECIMAL(10, 2)", "DECIMAL(10, 2)"),
        ("STRUCT(a INTEGER, b VARCHAR[])[]", "STRUCT(a INTEGER, b VARCHAR[])[]"),
        ("TIMESTAMP  WITH\n TIME ZONE", "TIMESTAMP WITH TIME ZONE"),
        ("DOUBLE /* , ) */ PRECISION -- x", "DOUBLE PRECISION"),
        ("ENUM('a, b', ')')", "ENUM('a, b', ')')"),
        ('STRUCT("x)" INTEGER)', 'STRUCT("x)" INTEGER)'),
        ("ENUM( 'two  words',\n 'line\nbreak' )", "ENUM( 'two  words', 'line\nbreak' )"),
        ('"my type"', "my type"),
    ],
)
def test_a_type_is_sql_up_to_the_next_comma_or_bracket(written: str, type_: str):
    assert parse(f"(c (type {written}\n, nullable false));") == ({"c": {"type": type_, "nullable": False}}, [])


def test_in_a_description_backslashes_are_ordinary():
    assert parse(r"""(description "Files under C:\");""")[0] == {"description": "Files under C:\\"}
    assert parse(r"""(description 'it\'s C:\\temp and ''x''');""")[0] == {"description": r"it's C:\\temp and 'x'"}


def test_values_know_where_they_and_their_keys_stand():
    file = TextFile("models/a.sql", "(\n  tags [a,\n   b],\n);")
    entry = parse_header(file, 0, []).entries.table["tags"]
    assert file.line_and_column(entry.key_offset) == (2, 3)
    assert file.line_and_column(entry.offset) == (2, 8)
    assert [file.line_and_column(item.offset) for item in entry.value] == [(2, 9), (3, 4)]


BAD = [
    ("(a b, a c);", "DUPLICATE_KEY", "1:7", "`a` stands twice, first on line 1", "keep one of the two"),
    ("(x (a 1,\na 2));", "DUPLICATE_KEY", "2:1", "`a` stands twice, first on line 1", "keep one of the two"),
    ("(a b c);", "HEADER_SYNTAX", "1:6", "a comma or ) is expected here, not `c`", "put a comma before it"),
    ("(a [b c]);", "HEADER_SYNTAX", "1:7", "a comma or ] is expected here, not `c`", "put a comma before it"),
    ("(a [b)]);", "HEADER_SYNTAX", "1:6", "this ) closes nothing", "the bracket that is open is ["),
    ("(a (b 1];", "HEADER_SYNTAX", "1:8", "this ] closes nothing", "the bracket that is open is ("),
    ("(a);", "HEADER_SYNTAX", "1:2", "`a` has no value", "write `a`, a blank and its value"),
    ("(a, b 1);", "HEADER_SYNTAX", "1:2", "`a` has no value", "write `a`, a blank and its value"),
    ("(columns (a, b));", "HEADER_SYNTAX", "1:11", "`a` has no value", "write `a`, a blank and its value"),
    ("(a b,, c d);", "HEADER_SYNTAX", "1:6", "a key and a value must stand before this comma", "remove the comma"),
    ("(, a b);", "HEADER_SYNTAX", "1:2", "a key and a value must stand before this comma", "remove the comma"),
    ("([a] b);", "HEADER_SYNTAX", "1:2", "a key is expected here, not `[`", "write `key value` pairs, with commas between"),
    ("(a [b,,c]);", "HEADER_SYNTAX", "1:7", "a value is expected here, not `,`", "write a value or remove the key"),
    ("(a (b 1)", "HEADER_SYNTAX", "1:1", "this ( is never closed", "close it with )"),
    ("(a b;\nSELECT 1", "HEADER_SYNTAX", "1:1", "this ( is never closed", "close it with )"),
    ("(a [b, ", "HEADER_SYNTAX", "1:4", "this [ is never closed", "close it with ]"),
    ("(a (b c", "HEADER_SYNTAX", "1:4", "this ( is never closed", "close it with )"),
    ('(a "b);', "HEADER_SYNTAX", "1:4", "this string is never closed", 'close it with "'),
    ("(a 'b);", "HEADER_SYNTAX", "1:4", "this string is never closed", "close it with '"),
    ('(a """b"");', "HEADER_SYNTAX", "1:4", 'this """ is never closed', 'close it with """'),
    ("(a b /* c);", "HEADER_SYNTAX", "1:6", "this comment is never closed", "end it with */"),
    ("(type ENUM('a), b c);", "HEADER_SYNTAX", "1:12", "this string is never closed", "end it with '"),
    ("(type DECIMAL(10, 2, b c);", "HEADER_SYNTAX", "1:1", "this ( is never closed", "close it with )"),
    ("(type DECIMAL(10, 2;", "HEADER_SYNTAX", "1:14", "this ( is never closed", "balance the brackets of the type"),
    ("(type DECIMAL(10], b c);", "HEADER_SYNTAX", "1:17", "this ] closes nothing", "balance the brackets of the type"),
    ("(a 1e999);", "HEADER_SYNTAX", "1:4", "this number is too large", "write it as text, in quotes"),
    ("(a b)\nSELECT 1", "HEADER_SYNTAX", "2:1", "a semicolon must follow the header", "write `);`"),
    (
        '(description "Matches "Miss".");',
        "HEADER_SYNTAX",
        "1:23",
        'a double quote ends this "..." string early',
        'use """...""" for text that contains double quotes',
    ),
    ("(a " + "[" * 100 + ");", "HEADER_SYNTAX", "1:64", "brackets are nested more than 60 deep", "nest less"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "place", "message", "help"), BAD)
def test_bad_syntax_is_one_problem_with_its_place(text: str, code: str, place: str, message: str, help: str):
    assert parse(text)[1] == [f"error[{code}] models/a.sql:{place}: {message}\n  help: {help}"]


def test_after_a_syntax_error_what_was_read_is_kept_and_the_header_ends_at_its_closing_line():
    text = "(\n  a 1,\n  b (x y z),\n  c 3\n);\nSELECT (1);"
    problems = []
    header = parse_header(TextFile("models/a.sql", text), 0, problems)
    assert plain(header.entries) == {"a": 1}
    assert text[header.end :] == "\nSELECT (1);"
    assert len(problems) == 1


def test_the_end_of_a_header_that_is_never_closed_is_not_known():
    assert parse_header(TextFile("models/a.sql", "(a b"), 0, []).end is None


WORDS = st.from_regex(r"[a-z_][a-z0-9_.\-*]{0,8}", fullmatch=True).filter(
    lambda word: word not in ("true", "false", "null", "type", "description") and "--" not in word
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(WORDS | TEXTS.filter(lambda key: key not in ("type", "description")), inner, max_size=4)
        | st.builds(
            lambda name, arguments, options: {name: [*arguments, options] if options else arguments},
            WORDS.filter(lambda word: word[0] not in "-0123456789"),
            st.lists(SCALARS, min_size=1, max_size=2),
            st.dictionaries(WORDS, inner, max_size=2),
        ).map(lambda call: _PrintedAsCall(call))
    ),
    max_leaves=12,
)


class _PrintedAsCall(dict):
    """`{name: arguments}` that is written as `name(arguments)`."""


def printed(value: object, draw) -> str:
    blank = draw(st.sampled_from(["", " ", "\n", " /* c, ) */ ", " -- ]\n"]))
    comma = draw(st.sampled_from([",", " , ", ",\n", ", -- '\n"]))
    last = draw(st.sampled_from(["", ","]))
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():
            return printed_text(value, draw)
        case list():
            return f"[{blank}{comma.join(printed(item, draw) for item in value)}{last if value else ''}{blank}]"
        case _PrintedAsCall():
            name, content = next(iter(value.items()))
            options = content[-1] if isinstance(content[-1], dict) else {}
            pieces = [printed(item, draw) for item in (content[:-1] if options else content)]
            pieces += [f"{printed_key(key, draw)} {printed(item, draw)}" for key, item in options.items()]
            return f"{name}{blank}({comma.join(pieces)}{last})"
        case dict():
            pieces = [f"{printed_key(key, draw)} {printed(item, draw)}" for key, item in value.items()]
            return f"({blank}{comma.join(pieces)}{last if value else ''}{blank})"
    raise AssertionError(value)


def printed_text(text: str, draw) -> str:
    double, single = (text.replace("\\", "\\\\").replace(quote, f"\\{quote}") for quote in "\"'")
    ways = [f'"{double}"', f"'{single}'"]
    if '"""' not in text and not text.startswith('"') and not text.endswith('"'):
        ways.append(f'"""{text}"""')
    return draw(st.sampled_from(ways))


def printed_key(key: str, draw) -> str:
    plain_word = key and all(letter in "abcdefghijklmnopqrstuvwxyz_0123456789." for letter in key)
    return key if plain_word else printed_text(key, draw)


def as_plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    return [as_plain(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(WORDS, VALUES, max_size=4), st.data())
def test_what_is_printed_is_read_back(content: dict, data):
    text = printed(content, data.draw) + ";"
    assert parse(text) == (as_plain(content), [])


@given(st.text(alphabet="()[],;'\"\\-/* \nab1.$", max_size=40) | st.text(max_size=30))
def test_no_input_crashes_the_parser(text: str):
    value, problems = parse("(" + text)
    assert isinstance(value, dict)
    assert all(problem.startswith("error[") for problem in problems)


def test_a_call_keeps_arguments_and_options_apart():
    entry = parse_header(TextFile("a.sql", '(to relationship("x", field y));'), 0, []).entries.table["to"]
    assert isinstance(entry.value, Call)
    assert [argument.value for argument in entry.value.arguments] == ["x"]
    assert isinstance(entry.value.options["field"], Located)
