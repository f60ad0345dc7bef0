"""How a column is made of others. Imported only by what needs the parser."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

_WEIGHT = {"constant": 0, "direct": 1, "cast": 2, "expression": 3, "aggregation": 4}


def transform_of(value: exp.Expr, of_columns: Iterable[str], *, has_sources: bool, may_aggregate: bool = True) -> str:
    """How an expression makes its value of columns that were made as `of_columns` say.

    `may_aggregate` is false where the caller knows that there is no aggregate function in it.
    """
    if may_aggregate and value.find(exp.AggFunc) is not None:
        return "aggregation"
    used = tuple(of_columns)
    if not used and not has_sources:
        return "constant"
    own = "cast" if _casts_a_column(value) else "expression"
    return joint_transform([own, *used])


def joint_transform(parts: Iterable[str]) -> str:
    """The one that says most about a value that went through all of them."""
    return max(parts, key=_WEIGHT.__getitem__)


def _casts_a_column(value: exp.Expr) -> bool:
    while isinstance(value, (exp.Cast, exp.Paren)):
        value = value.this
    return isinstance(value, exp.Column)
