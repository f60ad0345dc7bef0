from __future__ import annotations

import pytest

from sqlbuild.compiler.function_rules import arguments_behind


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("()", 0),
        (" ( /* none */ ) + 1", 0),
        ("(a)", 1),
        ("(a, b)", 2),
        ("((a, b))", 1),
        ("(f(a, b), [1, 2], {'k': 3})", 3),
        ("('a, b', \"c,d\" -- e, f\n)", 2),
        ("(())", 1),
        ("", None),
        (" AS x (a, b)", None),
        ("(a", None),
        ("('a", None),
    ],
)
def test_arguments_are_counted_outside_of_brackets_and_quotes(text: str, number: int | None):
    sql = f'SELECT __udf("f"){text}'
    assert arguments_behind(sql, sql.index(")") + 1) == number
