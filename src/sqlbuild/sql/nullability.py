"""Whether a value can be NULL, where that is beyond doubt. Imported only by what needs the parser."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping

from sqlglot import exp

_MAX_DEPTH = 40
_Of = Callable[[object], bool | None]
_Rule = Callable[[exp.Expr, _Of], bool | None]

_NEVER_NULL = (
    exp.Literal, exp.Boolean, exp.Is, exp.Exists, exp.NullSafeEQ, exp.NullSafeNEQ, exp.CurrentDate, exp.CurrentTimestamp,
    exp.Uuid, exp.Pi, exp.Rand,
)  # fmt: skip
_COUNTS = (exp.Count, exp.CountIf, exp.ApproxDistinct)
_NUMBERS_OF_ROWS = (exp.RowNumber, exp.Rank, exp.DenseRank, exp.Ntile, exp.PercentRank, exp.CumeDist)
_STRICT = (
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Not, exp.Add, exp.Sub, exp.Mul, exp.Neg, exp.Abs, exp.DPipe,
    exp.Upper, exp.Lower, exp.Trim, exp.Length, exp.Floor, exp.Ceil, exp.Round, exp.TimestampTrunc, exp.Between,
    exp.Like, exp.ILike, exp.Paren,
)  # fmt: skip
"""NULL exactly if one of their operands is."""
_DIVISIONS = (exp.Div, exp.Mod, exp.IntDiv)
_NULL_WITHOUT_ROWS = (exp.Sum, exp.Min, exp.Max, exp.Avg, exp.ArrayAgg, exp.LogicalAnd, exp.LogicalOr)


def may_be_null(
    expression: exp.Expr, known: Mapping[int, bool | None], *, grouped: bool, dialect: str, depth: int = 0
) -> bool | None:
    """True: nothing keeps NULL out. False: it surely is none. None: not known.

    `known` has that of columns and subqueries by `id` of the node. `grouped`: aggregates see at least one row each.
    """
    if id(expression) in known:
        return known[id(expression)]
    if depth > _MAX_DEPTH:
        return None

    def of(part: object) -> bool | None:
        if not isinstance(part, exp.Expr):
            return None
        return may_be_null(part, known, grouped=grouped, dialect=dialect, depth=depth + 1)

    if isinstance(expression, _NULL_WITHOUT_ROWS):
        return of(expression.this) if grouped else True
    found = _rule(type(expression))(expression, of)
    # In DuckDB a setting makes NULL of a division by zero.
    return None if found is False and dialect == "duckdb" and isinstance(expression, _DIVISIONS) else found


def _find_rule(kind: type) -> _Rule:
    """What says it of an expression of this class; looked up once for each class."""
    if issubclass(kind, exp.Null):
        return _always
    if issubclass(kind, (*_NEVER_NULL, *_COUNTS)):
        return _never
    if issubclass(kind, exp.Cast):
        return _not_known if issubclass(kind, exp.TryCast) else _as_argument
    if issubclass(kind, exp.Window):
        return _of_window
    if issubclass(kind, (*_STRICT, *_DIVISIONS)):
        return _of_operands
    return _of_choice


_rule: Callable[[type], _Rule] = functools.cache(_find_rule)


def _always(_expression: exp.Expr, _of: _Of) -> bool | None:
    return True


def _never(_expression: exp.Expr, _of: _Of) -> bool | None:
    return False


def _not_known(_expression: exp.Expr, _of: _Of) -> bool | None:
    return None


def _as_argument(expression: exp.Expr, of: _Of) -> bool | None:
    return of(expression.this)


def _of_window(expression: exp.Expr, _of: _Of) -> bool | None:
    return False if isinstance(expression.this, (*_NUMBERS_OF_ROWS, *_COUNTS)) else None


def _of_operands(expression: exp.Expr, of: _Of) -> bool | None:
    return joint(map(of, _operands(expression)))


def joint(parts: Iterable[bool | None]) -> bool | None:
    """Of a value that is NULL if one of several others is, or that is one of them."""
    found = tuple(parts)
    if any(found):
        return True
    return None if None in found else False


def _operands(expression: exp.Expr) -> list[exp.Expr]:
    return [
        part for part in expression.iter_expressions() if not isinstance(part, (exp.Var, exp.DataType, exp.Interval))
    ]


def _of_choice(expression: exp.Expr, of: _Of) -> bool | None:
    if isinstance(expression, exp.Coalesce):
        found = [of(part) for part in (expression.this, *expression.expressions)]
        if False in found:
            return False
        return True if all(found) else None
    if isinstance(expression, exp.Case):
        branches = [branch.args.get("true") for branch in expression.args.get("ifs") or ()]
        default = expression.args.get("default")
        return True if default is None else joint(map(of, [*branches, default]))
    if isinstance(expression, exp.If):
        otherwise = expression.args.get("false")
        return True if otherwise is None else joint(map(of, [expression.args.get("true"), otherwise]))
    return True if isinstance(expression, exp.Nullif) else None
