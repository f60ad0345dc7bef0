"""Whether a value can be NULL, where that is beyond doubt. Imported only by what needs the parser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sqlglot import exp

_MAX_DEPTH = 40
_Of = Callable[[object], bool | None]

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

    if isinstance(expression, exp.Null):
        return True
    if isinstance(expression, (*_NEVER_NULL, *_COUNTS)):
        return False
    if isinstance(expression, exp.Cast):
        return None if isinstance(expression, exp.TryCast) else of(expression.this)
    if isinstance(expression, exp.Window):
        return False if isinstance(expression.this, (*_NUMBERS_OF_ROWS, *_COUNTS)) else None
    if isinstance(expression, _NULL_WITHOUT_ROWS):
        return of(expression.this) if grouped else True
    if isinstance(expression, _STRICT):
        return joint(map(of, _operands(expression)))
    if isinstance(expression, (exp.Div, exp.Mod, exp.IntDiv)):
        # In DuckDB a setting makes NULL of a division by zero.
        found = joint(map(of, _operands(expression)))
        return None if found is False and dialect == "duckdb" else found
    return _of_choice(expression, of)


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
