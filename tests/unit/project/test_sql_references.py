from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.project.sql_references import Query, read_query
from sqlbuild.project.text_file import TextFile


def read(text: str, start: int = 0) -> tuple[Query, list[str]]:
    problems = []
    query = read_query(TextFile("models/a.sql", text), start, problems)
    return query, [str(problem) for problem in problems]


def test_references_are_found_with_their_offsets_and_places():
    query, problems = read('\n\nSELECT *\nFROM __ref("a")\nJOIN __source("b c") USING (x), __seed("d");\n')
    assert problems == []
    assert query.sql == 'SELECT *\nFROM __ref("a")\nJOIN __source("b c") USING (x), __seed("d")'
    assert [(repr(found.reference), str(found.place)) for found in query.references] == [
        ("model('a')", "models/a.sql:4:6"),
        ("source('b c')", "models/a.sql:5:6"),
        ("seed('d')", "models/a.sql:5:33"),
    ]
    assert [query.sql[found.start : found.end] for found in query.references] == [
        '__ref("a")',
        '__source("b c")',
        '__seed("d")',
    ]


@pytest.mark.parametrize(
    "hidden",
    [
        """'__ref("x")'""",
        """'it''s __ref("x")'""",
        """E'it\\'s __ref("x")'""",
        """e'a''\\\\' || '__ref("x")'""",
        '''"a "" __ref"''',
        """$$ ' __ref("x") $$""",
        """$tag$ $$ __ref("x") ; $tag$""",
        """-- __ref("x") '""",
        """/* __ref("x") /* ' */ __ref("y") */""",
        """my__ref("x")""",
        """__refs("x")""",
        """__ref_x""",
        """$__ref""",
        """a.x$__source("x")""",
    ],
)
def test_what_stands_in_quotes_comments_or_longer_words_is_no_reference(hidden: str):
    query, problems = read(f'SELECT {hidden}\nFROM __ref("seen")')
    assert problems == []
    assert [found.reference.name for found in query.references] == ["seen"]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT a$b$c, '$', $1 FROM x",
        "SELECT nameE'a\\' FROM x",
        "SELECT 1 - -1, 2/*x*/*3, a-->b\n",
        "SELECT 'a;b', \"c;d\", $$;$$ -- ;",
        "FROM x SELECT @a, b @> c",
    ],
)
def test_odd_but_right_sql_is_left_alone(text: str):
    query, problems = read(text)
    assert problems == []
    assert query.sql == text.strip()


@pytest.mark.parametrize("end", ["", ";", " ;\n", ";;", " -- x\n;", "; -- the end\n/* really */", ";\n;\n"])
def test_final_semicolons_and_what_follows_them_are_taken_away(end: str):
    query, problems = read(f"SELECT 1{end}")
    assert problems == []
    assert query.sql.removesuffix(" -- x") == "SELECT 1"


def test_comments_before_the_query_belong_to_it():
    query, problems = read("-- why\nSELECT 1")
    assert (query.sql, query.start, problems) == ("-- why\nSELECT 1", 0, [])


BAD_CALLS = [
    ("__ref(x)", "__ref(x)", '__ref("x")'),
    ("__ref('x')", "__ref('x')", '__ref("x")'),
    ('__ref ("x")', '__ref ("x")', '__ref("x")'),
    ('__ref( "x" )', '__ref( "x" )', '__ref("x")'),
    ('__ref( /* up */ "x")', '__ref( /* up */ "x")', '__ref("x")'),
    ('__ref(\n"x"\n)', '__ref( "x" )', '__ref("x")'),
    ('__ref("p", "x")', '__ref("p", "x")', '__ref("x")'),
    ('__ref("x"', '__ref("x"', '__ref("x")'),
    ('__ref("")', '__ref("")', '__ref("name")'),
    ("__ref()", "__ref()", '__ref("name")'),
    ("__ref", "__ref", '__ref("name")'),
    ('__REF("x")', '__REF("x")', '__ref("x")'),
    ("__source(raw.x)", "__source(raw.x)", '__source("raw.x")'),
    ("__Seed('x')", "__Seed('x')", '__seed("x")'),
]


@pytest.mark.parametrize(("written", "shown", "corrected"), BAD_CALLS)
def test_a_malformed_reference_is_a_problem_with_the_corrected_call(written: str, shown: str, corrected: str):
    query, problems = read(f"SELECT *\nFROM {written} t")
    assert query.references == ()
    assert problems == [
        f"error[REFERENCE] models/a.sql:2:6: `{shown}` is not a valid reference\n"
        f"  help: write {corrected}: one name in double quotes, without blanks around it"
    ]


def test_all_malformed_references_are_reported_at_once():
    query, problems = read('SELECT * FROM __ref(a) JOIN __ref("b") JOIN __ref("c" JOIN __source(d)')
    assert [problem.splitlines()[0].rpartition(": ")[2] for problem in problems] == [
        "`__ref(a)` is not a valid reference",
        '`__ref("c"` is not a valid reference',
        "`__source(d)` is not a valid reference",
    ]
    assert [found.reference.name for found in query.references] == ["b"]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('@py.cents("x")', "`@py.`: macros here are not supported yet"),
        ('@sql.cents("x")', "`@sql.`: SQL macros are not supported yet"),
        ('@enum("e").A', "`@enum`: enums are not supported yet"),
        ('@const("c")', "`@const`: constants are not supported yet"),
        ("@@name", "`@@`: variables in SQL are not supported yet"),
        ("@@@start", "`@@@`: placeholders in SQL are not supported yet"),
    ],
)
def test_what_is_not_supported_yet_is_said(written: str, message: str):
    (problem,) = read(f"SELECT {written}")[1]
    assert problem.startswith(f"error[UNSUPPORTED] models/a.sql:1:8: {message}\n  help: write ") or "@@" in written
    assert message in problem


@pytest.mark.parametrize(
    ("text", "code", "place", "message", "help"),
    [
        ("", "EMPTY_QUERY", "1:1", "there is no query", "write a SELECT statement"),
        (" \n -- only this\n", "EMPTY_QUERY", "3:1", "there is no query", "write a SELECT statement"),
        (" ;", "EMPTY_QUERY", "1:2", "there is no query", "write a SELECT statement"),
        (
            "SELECT 1;\n-- and\nSELECT 2;",
            "STATEMENTS",
            "3:1",
            "a second statement begins here",
            "keep one statement in a file",
        ),
        ("SELECT 'x", "SQL_SYNTAX", "1:8", "this string is never closed", "end it with '"),
        ("SELECT E'x\\'", "SQL_SYNTAX", "1:9", "this string is never closed", "end it with '"),
        ('SELECT "x', "SQL_SYNTAX", "1:8", "this quoted name is never closed", 'end it with "'),
        ("SELECT $a$ $$", "SQL_SYNTAX", "1:8", "this dollar-quoted text is never closed", "end it with $a$"),
        ("SELECT 1 /* /* */", "SQL_SYNTAX", "1:10", "this comment is never closed", "end it with */"),
        ("SELECT 1; /* x", "SQL_SYNTAX", "1:11", "this comment is never closed", "end it with */"),
        ("/* x", "SQL_SYNTAX", "1:1", "this comment is never closed", "end it with */"),
    ],
)
def test_a_file_holds_one_whole_statement(text: str, code: str, place: str, message: str, help: str):
    assert read(text)[1] == [f"error[{code}] models/a.sql:{place}: {message}\n  help: {help}"]


PIECES = ["__ref", '("x")', "(x)", "'", '"', "$$", "$a$", "--", "/*", "*/", ";", "\n", " ", "E'", "\\", "@py.", "a"]


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join) | st.text(max_size=30))
def test_no_input_crashes_the_scanner_and_offsets_are_right(text: str):
    query, _ = read(text)
    assert text[query.start :].startswith(query.sql)
    for found in query.references:
        assert query.sql[found.start : found.end].startswith(("__ref(", "__source(", "__seed("))


def test_many_comments_in_a_malformed_call_take_no_time():
    assert len(read("SELECT __ref(" + "/**/" * 5000)[1]) == 1


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM {{ ref('orders') }}",
        "{{ config(materialized='table') }}\nSELECT 1; SELECT 2",
        "SELECT 1 {% if x %} AS a {% endif %}",
        "SELECT * FROM {{- source('shop', 'orders') -}}",
    ],
)
def test_a_template_is_one_problem_that_says_how_references_are_written(text):
    _, [problem] = read(text)
    assert problem.startswith("error[REFERENCE]")
    assert 'Jinja templates are not understood\n  help: write __ref("name")' in problem


@pytest.mark.parametrize(
    "text",
    ["SELECT '{{ ref(1) }}', '{%'", "SELECT 1 -- {{ ref('a') }}", "SELECT MAP {{'ref': 1}: 2}", "SELECT {'config': 1}"],
)
def test_braces_of_sql_and_hidden_templates_are_left_alone(text):
    query, problems = read(text)
    assert problems == []
    assert query.sql == text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('SELECT x__ref("a"), $__ref("b"), 1__ref("c"), __ref("d") FROM t_', ["d"]),
        ('SELECT a-- __ref("a")\n-__ref("b")/__ref("c")/* __ref("d") */*__ref("e")', ["b", "c", "e"]),
        ('SELECT a_._b, {x}, a / b - c, __ref("a")', ["a"]),
        ('SELECT ___ref("a"), é__ref("b"), (__ref("c"))', ["c"]),
    ],
)
def test_only_whole_words_outside_of_comments_are_references(text: str, found: list[str]):
    query, _ = read(text)
    assert [each.reference.name for each in query.references] == found
