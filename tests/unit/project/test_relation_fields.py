"""`indexes` and `grants` in headers."""

from __future__ import annotations

import pytest

from sqlbuild.domain.nodes import Model
from sqlbuild.domain.relation_options import Index
from sqlbuild.project.read_sql import read_model
from sqlbuild.project.text_file import TextFile


def read(header: str) -> tuple[Model, list[str]]:
    problems = []
    model = read_model(TextFile("models/m.sql", f"MODEL ({header}\n);\nSELECT 1 AS a"), {}, problems)
    return model, [str(problem) for problem in problems]


def test_indexes_are_written_as_in_create_index():
    model, problems = read(
        """indexes [
          (columns [order_id], unique true),
          (columns [created_at desc nulls last, lower(email), "Odd, name", coalesce(a, ')')], name by_time,
           where "status = 'open'", using BRIN, include [status, "Other"]),
        ]"""
    )
    assert problems == []
    assert model.indexes == (
        Index(columns=("order_id",), unique=True),
        Index(
            columns=("created_at desc nulls last", "lower(email)", '"Odd, name"', "coalesce(a, ')')"),
            name="by_time",
            where="status = 'open'",
            using="brin",
            include=("status", '"Other"'),
        ),
    )
    assert [(index.place.line, index.place.column) for index in model.indexes] == [(2, 11), (3, 11)]


def test_lists_called_columns_elsewhere_are_what_they_were():
    model, problems = read('meta (columns ["a b", c]), indexes [(columns [a])], tags ["x y"]')
    assert problems == []
    assert (model.meta, model.tags) == ({"columns": ["a b", "c"]}, ("x y",))


def test_grants_are_roles_by_privilege():
    model, problems = read("grants (select [reporting, 'Data Team'], INSERT writer)")
    assert problems == []
    assert model.grants == {"select": ("reporting", "Data Team"), "insert": ("writer",)}


BAD = [
    ("indexes (columns [a])", "WRONG_TYPE", "`indexes` must be a list, not a table", "indexes [(columns [order_id]"),
    ("indexes [a]", "WRONG_TYPE", '`indexes[1]` must be a table, not text "a"', "indexes [(columns"),
    ("indexes [(unique true)]", "MISSING_KEY", "`indexes[1].columns` is missing", "what the index is made of"),
    ("indexes [(columns [])]", "BAD_VALUE", "`indexes[1].columns` is empty", "name at least one column"),
    ("indexes [(columns [a], unqiue true)]", "UNKNOWN_KEY", "unknown key `indexes[1].unqiue`", "did you mean `unique`"),
    ("indexes [(columns [a], unique 1)]", "WRONG_TYPE", "`indexes[1].unique` must be true or false", "write true"),
    ("indexes [(columns ['a'])]", "BAD_VALUE", "`indexes[1].columns`: 'a' is a text, not a column", "without quotes"),
    ("indexes [(columns [a -- b\n])]", None, "", ""),
    ("indexes [(columns [a], where 'b) or (c')]", "BAD_VALUE", "'b) or (c' is not one expression", "balance"),
    ("indexes [(columns [a], where 'b -- c')]", "BAD_VALUE", "'b -- c' is not one expression", "comments"),
    ("indexes [(columns [a], include [f(b)])]", "BAD_VALUE", "f(b) is not a column", "name columns only"),
    ("indexes [(columns [a], using 'x y')]", "BAD_VALUE", "`indexes[1].using`: x y is not a method", "using brin"),
    ("indexes [(columns [,])]", "HEADER_SYNTAX", "a value is expected here, not `,`", "a name or an expression"),
    ("grants [reader]", "WRONG_TYPE", "`grants` must be a table, not a list", "keys of its own"),
    ("grants (selct [a])", "BAD_VALUE", "selct cannot be granted on a table or view", "did you mean `select`?"),
    ("grants (select 5)", "WRONG_TYPE", "`grants.select` must be a list of texts", "select [first, second]"),
    ("grants (select null)", "WRONG_TYPE", "`grants.select` names no role", "select [reporting, analyst]"),
    ("grants (select [a], SELECT [b])", "DUPLICATE_KEY", "`grants.SELECT` stands twice", "keep one"),
]


@pytest.mark.parametrize(("header", "code", "message", "help"), BAD)
def test_what_is_wrong_is_a_problem_with_its_place_and_fix(header, code, message, help):
    _, problems = read(header)
    if code is None:
        assert problems == []
        return
    assert len(problems) == 1
    assert problems[0].startswith(f"error[{code}] models/m.sql:1:")
    assert message in problems[0]
    assert help in problems[0]
