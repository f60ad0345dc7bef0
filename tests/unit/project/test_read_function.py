from __future__ import annotations

import pytest

from sqlbuild.domain.nodes import Function
from sqlbuild.project.read_function import read_function
from sqlbuild.project.text_file import TextFile


def read(text: str) -> tuple[Function, list[str]]:
    problems = []
    function = read_function(TextFile("functions/sql/f.sql", text), problems)
    return function, [str(problem) for problem in problems]


def test_a_scalar_function_has_arguments_a_type_and_an_expression():
    function, problems = read("""-- about orders
FUNCTION (
  description "Whether it is late",
  arguments (due DATE, days DECIMAL(10, 2), names VARCHAR[], wide DOUBLE PRECISION),
  returns TIMESTAMP WITH TIME ZONE,
  tags [dates], schema tools,
);

due + days -- late
;
""")
    assert problems == []
    assert (function.name, function.is_table, function.returns) == ("f", False, "TIMESTAMP WITH TIME ZONE")
    assert [(each.name, each.type) for each in function.arguments] == [
        ("due", "DATE"),
        ("days", "DECIMAL(10, 2)"),
        ("names", "VARCHAR[]"),
        ("wide", "DOUBLE PRECISION"),
    ]
    assert (function.sql, function.sql_line, function.sql_column) == ("due + days -- late", 9, 1)
    assert (function.description, function.tags, function.schema) == ("Whether it is late", ("dates",), "tools")
    assert str(function.place) == "functions/sql/f.sql:2:1"


def test_a_table_function_has_columns_and_a_query_with_references():
    function, problems = read("""function (arguments (c INTEGER), returns table (
      order_id INTEGER, -- the order
      cents DECIMAL(10, 2)
    ));
    SELECT id, __udf("half")(cents) FROM __ref("orders") JOIN __table_fn("days")(c) AS d ON true""")
    assert problems == []
    assert function.is_table
    assert [(each.name, each.type) for each in function.columns] == [
        ("order_id", "INTEGER"),
        ("cents", "DECIMAL(10, 2)"),
    ]
    assert [(each.reference.kind, each.reference.name, each.call) for each in function.references] == [
        ("function", "half", "__udf"),
        ("model", "orders", ""),
        ("function", "days", "__table_fn"),
    ]
    assert function.written() == '__table_fn("f")(c INTEGER)'


def test_a_function_without_arguments_needs_none():
    function, problems = read("FUNCTION (returns INTEGER); 42")
    assert (problems, function.arguments, function.readable) == ([], (), True)


@pytest.mark.parametrize(
    ("text", "told", "help"),
    [
        ("SELECT 1", "HEADER_PLACE] functions/sql/f.sql:1:1: the file has no FUNCTION header", "FUNCTION (arg"),
        ("FUNCTION (arguments (x INT)); x", "MISSING_KEY] functions/sql/f.sql:1:1: `returns` is missing", "returns"),
        ("FUNCTION (returns INT);\n ", "EMPTY_QUERY] functions/sql/f.sql:1:24: the function has no SQL", "an expr"),
        ("FUNCTION (returns table ()); SELECT 1", "BAD_VALUE] functions/sql/f.sql:1:19: `returns table ()` has no", ""),
        ("FUNCTION (returns INT, argments (x INT)); 1", "UNKNOWN_KEY] functions/sql/f.sql:1:24", "`arguments`"),
        (
            "FUNCTION (returns INT, arguments [x]); 1",
            "WRONG_TYPE] functions/sql/f.sql:1:34: `arguments` must",
            "(order",
        ),
        ("FUNCTION (returns INT, arguments (x INT, X INT)); 1", "DUPLICATE_KEY] functions/sql/f.sql:1:42", "one"),
        ("FUNCTION (returns INT, arguments (x (y INT))); 1", "WRONG_TYPE] functions/sql/f.sql:1:35: `arguments.x`", ""),
        ("FUNCTION (returns INT, arguments (x)); 1", "HEADER_SYNTAX] functions/sql/f.sql:1:35: `x` has no value", ""),
        ("FUNCTION (returns INT); 1; 2", "STATEMENTS] functions/sql/f.sql:1:28: a second statement", "one"),
    ],
)
def test_what_is_wrong_with_a_function_is_told_with_its_place(text: str, told: str, help: str):
    _, (problem,) = read(text)
    assert told in problem
    assert help in problem.partition("help: ")[2]


def test_a_function_stands_where_the_defaults_say_unless_it_says_so_itself():
    def schema(written: str, **defaults: object) -> str | None:
        text = f"FUNCTION ({written} returns INTEGER);\n1"
        return read_function(TextFile("functions/sql/f.sql", text), [], None, defaults).schema

    assert schema("") is None
    assert schema("", schema="all") == "all"
    assert schema("", schema="all", function_schema="fn") == "fn"
    assert schema("schema own,", function_schema="fn") == "own"
