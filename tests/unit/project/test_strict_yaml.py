from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.project.located import plain
from sqlbuild.project.strict_yaml import read_yaml
from sqlbuild.project.text_file import TextFile


def read(text: str) -> tuple[object, list[str]]:
    problems = []
    document = read_yaml(TextFile("sources/a.yml", text), problems)
    return None if document is None else plain(document), [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("false", False),
        ("yes", "yes"),
        ("NO", "NO"),
        ("on", "on"),
        ("True", "True"),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("+3", 3),
        ("-3", -3),
        ("017", 17),
        ("0o17", 15),
        ("0xff", 255),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        ("'1.10'", "1.10"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("2024-01-31", "2024-01-31"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("9" * 5000, "9" * 5000),
        ("1e999", "1e999"),
        (".nan", ".nan"),
        ("a b # c", "a b"),
        ("[a, {b: 1}, []]", ["a", {"b": 1}, []]),
        ("|\n    x\n    y\n", "x\ny\n"),
        (">\n    x\n    y\n", "x y\n"),
    ],
)
def test_values_are_read_by_the_core_schema(written: str, value: object):
    assert read(f"key: {written}") == ({"key": value}, [])


def test_anchors_and_merge_keys_are_followed():
    text = "base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo: [*b]\nthree: {<<: [{z: 0, x: 9}, *b]}\n"
    assert read(text) == (
        {
            "base": {"x": 1, "y": 2},
            "one": {"x": 1, "y": 3},
            "two": [{"x": 1, "y": 2}],
            "three": {"z": 0, "x": 9, "y": 2},
        },
        [],
    )


def test_values_and_keys_know_their_place():
    file = TextFile("a.yml", "é: 1\nä:\n  - x: 'y'\n")
    item = read_yaml(file, []).table["ä"].value[0].table["x"]
    assert file.line_and_column(item.key_offset) == (3, 5)
    assert file.line_and_column(item.offset) == (3, 8)


@pytest.mark.parametrize("text", ["", "\n# only this\n"])
def test_an_empty_file_holds_nothing(text: str):
    assert read(text) == (None, [])


BAD = [
    ("a: 1\nb: 2\na: 3\n", "DUPLICATE_KEY", "3:1", "`a` stands twice, first on line 1", "keep one of the two"),
    ("x: {a: 1, 'a': 2}", "DUPLICATE_KEY", "1:11", "`a` stands twice, first on line 1", "keep one of the two"),
    ("1: a", "WRONG_TYPE", "1:1", "this key is not text", "write the key in quotes, for example '1'"),
    ("[a]: b", "WRONG_TYPE", "1:1", "this key is not text", "write the key in quotes, for example '1'"),
    ("a: *x", "YAML_SYNTAX", "1:4", "the anchor &x is not known here", "define it above"),
    ("a: &x [*x]", "YAML_SYNTAX", "1:8", "the anchor &x is not known here", "define it above"),
    ("a: !!set {x}", "YAML_SYNTAX", "1:4", "the tag tag:yaml.org,2002:set is not known", "write the value without a tag"),
    ("a: !mine 1", "YAML_SYNTAX", "1:4", "the tag !mine is not known", "write the value without a tag"),
    ("a: 1\n---\nb: 2", "YAML_SYNTAX", "2:1", "a second document begins here", "keep one document in a file"),
    ("<<: 1", "YAML_SYNTAX", "1:5", "<< takes a table or a list of tables", "write << : *anchor"),
    ("[" * 5000, "YAML_SYNTAX", "1:101", "values are nested more than 100 deep", "nest less"),
    ("a: \x01", "YAML_SYNTAX", "1:4", "this is no YAML: control characters are not allowed", "remove the character"),
    ("a: b: c", "YAML_SYNTAX", "1:5", "this is no YAML: mapping values are not allowed in this context", "correct the syntax"),
    ("a:\n\tb: 1", "YAML_SYNTAX", "2:1", "this is no YAML: found character that cannot start any token", "correct the syntax"),
    ("a: 'x\n", "YAML_SYNTAX", "2:1", "this is no YAML: found unexpected end of stream", "correct the syntax"),
    ("a: [\n", "YAML_SYNTAX", "2:1", "this is no YAML: did not find expected node content", "correct the syntax"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "place", "message", "help"), BAD)
def test_what_is_no_strict_yaml_is_a_problem_with_its_place(text, code, place, message, help):
    assert read(text)[1] == [f"error[{code}] sources/a.yml:{place}: {message}\n  help: {help}"]


def test_aliases_that_grow_without_end_are_refused():
    text = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True):
        text += f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    assert read(text)[1] == [
        "error[YAML_SYNTAX] sources/a.yml:1:1: the file holds more than 1,000,000 values\n"
        "  help: split it, or use fewer aliases"
    ]


PIECES = ["a", ":", " ", "\n", "- ", "[", "]", "{", "}", ",", "&x", "*x", "<<", "!", "!!str", "'", '"', "|", ">", "---", "...", "#", "%", "?", "  ", "1", "\t", "\x85", "\u2028", "é"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.text(max_size=30))
def test_no_input_crashes_the_reader(text: str):
    _, problems = read(text)
    assert all(problem.startswith("error[") for problem in problems)
