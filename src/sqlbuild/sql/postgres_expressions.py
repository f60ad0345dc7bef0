"""The type of an expression on PostgreSQL, where it is beyond doubt. Imported only by what needs the parser."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from sqlbuild.sql.postgres_types import TIMESTAMP, TIMESTAMP_TZ, joint_postgres_type, without_sizes

TypeOf = Callable[[object], str | None]

_INTEGERS = ("smallint", "integer", "bigint")
_EXACT = (*_INTEGERS, "numeric")
_FLOATS = ("real", "double precision")
_TEXTS = ("text", "character varying")
_INTEGER_LIMITS = {"integer": 2**31, "bigint": 2**63}

_ALWAYS: Mapping[str, tuple[type[exp.Expr], ...]] = {
    "bigint": (exp.Count, exp.RowNumber, exp.Rank, exp.DenseRank),
    "boolean": (
        exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.And, exp.Or, exp.Not, exp.Is, exp.In, exp.Between,
        exp.Like, exp.ILike, exp.SimilarTo, exp.Exists, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Boolean, exp.LogicalAnd,
        exp.LogicalOr, exp.RegexpLike, exp.RegexpILike,
    ),
    "date": (exp.CurrentDate,),
    "double precision": (exp.PercentRank, exp.CumeDist, exp.Corr),
    "integer": (exp.Ntile,),
    TIMESTAMP_TZ: (exp.CurrentTimestamp,),
    "text": (exp.Concat, exp.ConcatWs, exp.TimeToStr, exp.MD5),
    "uuid": (exp.Uuid,),
}  # fmt: skip
_BY_KIND = {kind: name for name, kinds in _ALWAYS.items() for kind in kinds}
_OF_TEXT: Mapping[str, tuple[type[exp.Expr], ...]] = {
    "integer": (exp.Length, exp.StrPosition),
    "text": (
        exp.Upper, exp.Lower, exp.Replace, exp.RegexpReplace, exp.Trim, exp.Substring, exp.Left, exp.Right, exp.Pad,
        exp.SplitPart, exp.GroupConcat, exp.Initcap,
    ),
}  # fmt: skip
_BY_KIND_OF_TEXT = {kind: name for name, kinds in _OF_TEXT.items() for kind in kinds}
_WHOLE = (exp.Paren, exp.Filter, exp.Order, exp.Window, exp.IgnoreNulls, exp.RespectNulls)
"""They change nothing of what is in them."""
_BARE = (
    exp.Min, exp.Max, exp.AnyValue, exp.FirstValue, exp.LastValue, exp.NthValue, exp.Lag, exp.Lead,
)  # fmt: skip
"""They give one of the values in them; its length or precision is forgotten."""
_MAX_OF_TEXT = {"character varying": "text"}
_SUMS = {
    "smallint": "bigint", "integer": "bigint", "bigint": "numeric", "numeric": "numeric", "real": "real",
    "double precision": "double precision", "interval": "interval", "money": "money",
}  # fmt: skip
_AVERAGES = {
    **dict.fromkeys(_EXACT, "numeric"), **dict.fromkeys(_FLOATS, "double precision"), "interval": "interval",
}  # fmt: skip
_TRUNCATED = {"date": TIMESTAMP_TZ, TIMESTAMP: TIMESTAMP, TIMESTAMP_TZ: TIMESTAMP_TZ, "interval": "interval"}
_MOVED = {"date": TIMESTAMP, TIMESTAMP: TIMESTAMP, TIMESTAMP_TZ: TIMESTAMP_TZ, "interval": "interval"}
"""By an interval."""


def postgres_type(expression: exp.Expr, of: TypeOf) -> str | None:
    """`of` tells the type of a part."""
    kind = type(expression)
    if kind in _BY_KIND:
        return _BY_KIND[kind]
    if kind in _BY_KIND_OF_TEXT:
        return _BY_KIND_OF_TEXT[kind] if _is_text(expression.this, of) else None
    if isinstance(expression, exp.Literal):
        return _literal(expression)
    if isinstance(expression, _WHOLE):
        return of(expression.this)
    if isinstance(expression, _BARE):
        only = expression.args.get("default") is None and not expression.args.get("expressions")
        found = without_sizes(of(expression.this)) if only else None
        is_extreme = isinstance(expression, exp.Min | exp.Max)
        return _MAX_OF_TEXT.get(found or "", found) if is_extreme else found
    for kinds, rule in _RULES:
        if isinstance(expression, kinds):
            return rule(expression, of)
    return None


def _literal(literal: exp.Literal) -> str | None:
    if literal.is_string:
        return "text"
    if literal.name.isdecimal():
        value = int(literal.name)
        return next((name for name, limit in _INTEGER_LIMITS.items() if value < limit), "numeric")
    return "numeric"


def _aggregate(expression: exp.Expr, of: TypeOf) -> str | None:
    what = without_sizes(of(expression.this)) or ""
    if isinstance(expression, exp.Sum):
        return _SUMS.get(what)
    if isinstance(expression, exp.Avg):
        return _AVERAGES.get(what)
    # An array of arrays is an array.
    return f"{what.removesuffix('[]')}[]" if what else None


def _choice(expression: exp.Expr, of: TypeOf) -> str | None:
    parts = [expression.this, *expression.expressions]
    if isinstance(expression, exp.Case):
        branches = expression.args.get("ifs") or ()
        parts = [*(branch.args.get("true") for branch in branches), expression.args.get("default")]
    joint: str | None = None
    strings = 0
    for part in parts:
        if part is None or isinstance(part, exp.Null):
            continue
        if isinstance(part, exp.Literal) and part.is_string:
            # It takes the type of what it stands beside.
            strings += 1
            continue
        found = of(part)
        if found is None:
            return None
        joint = found if joint is None else joint_postgres_type(joint, found)
        if joint is None:
            return None
    if joint is None:
        return "text" if strings else None
    return without_sizes(joint) if strings else joint


def _arithmetic(expression: exp.Expr, of: TypeOf) -> str | None:
    left, right = expression.this, expression.args.get("expression")
    if any(isinstance(part, exp.Literal) and part.is_string for part in (left, right)):
        return None
    one, other = without_sizes(of(left)), without_sizes(of(right))
    plus = isinstance(expression, exp.Add)
    if isinstance(right, exp.Interval) or other == "interval":
        return _MOVED.get(one or "") if plus or isinstance(expression, exp.Sub) else None
    if isinstance(expression, exp.Sub) and one == other == "date":
        return "integer"
    if isinstance(expression, exp.Sub) and one == other and one in (TIMESTAMP, TIMESTAMP_TZ):
        return "interval"
    if one == "date" and other in ("smallint", "integer") and isinstance(expression, exp.Add | exp.Sub):
        return "date"
    if one in _EXACT and other in _EXACT:
        return max(one, other, key=_EXACT.index)
    if "double precision" in (one, other) and {one, other} <= {*_EXACT, *_FLOATS}:
        return None if isinstance(expression, exp.Mod) else "double precision"
    return one if one == other == "real" and not isinstance(expression, exp.Mod) else None


def _rounded(expression: exp.Expr, of: TypeOf) -> str | None:
    what = without_sizes(of(expression.this))
    if isinstance(expression, exp.Neg | exp.Abs):
        return what if what in (*_EXACT, *_FLOATS) else None
    if isinstance(expression, exp.Round) and expression.args.get("decimals") is not None:
        return "numeric" if what in _EXACT else None
    if what == "numeric":
        return "numeric"
    return "double precision" if what in (*_INTEGERS, "double precision") else None


def _truncated(expression: exp.Expr, of: TypeOf) -> str | None:
    return _TRUNCATED.get(without_sizes(of(expression.this)) or "")


def _joined_text(expression: exp.Expr, of: TypeOf) -> str | None:
    both = expression.this, expression.expression
    return "text" if all(_is_text(part, of) for part in both) else None


def _first_or_null(expression: exp.Expr, of: TypeOf) -> str | None:
    one, other = of(expression.this), of(expression.expression)
    is_string = isinstance(expression.expression, exp.Literal) and expression.expression.is_string
    found = one if one == other or is_string else None
    # Texts are compared as `text`, whatever their length.
    return "text" if without_sizes(found) in _TEXTS else found


def _is_text(part: object, of: TypeOf) -> bool:
    return without_sizes(of(part)) in _TEXTS


_RULES: tuple[tuple[tuple[type[exp.Expr], ...], Callable[[exp.Expr, TypeOf], str | None]], ...] = (
    ((exp.Sum, exp.Avg, exp.ArrayAgg), _aggregate),
    ((exp.Coalesce, exp.Greatest, exp.Least, exp.Case), _choice),
    ((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod), _arithmetic),
    ((exp.Neg, exp.Abs, exp.Round, exp.Floor, exp.Ceil), _rounded),
    ((exp.TimestampTrunc,), _truncated),
    ((exp.DPipe,), _joined_text),
    ((exp.Nullif,), _first_or_null),
)
