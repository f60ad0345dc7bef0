"""The type of an expression, where it is beyond doubt. Imported only by what needs the parser."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from sqlbuild.sql.postgres_expressions import postgres_type
from sqlbuild.sql.postgres_types import joint_postgres_type
from sqlbuild.sql.type_names import canonical_type

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_INTEGER_LIMITS = {"TINYINT": 2**7, "SMALLINT": 2**15, "INTEGER": 2**31, "BIGINT": 2**63, "HUGEINT": 2**127}
_MAX_DEPTH = 40
_TypeOf = Callable[[object], str | None]
_Rule = Callable[[exp.Expr, _TypeOf], str | None]

_BOOLEAN = (
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.And, exp.Or, exp.Not, exp.Is, exp.In, exp.Between,
    exp.Like, exp.ILike, exp.SimilarTo, exp.Exists, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Boolean, exp.StartsWith,
    exp.LogicalAnd, exp.LogicalOr,
)  # fmt: skip
_BY_DUCKDB_TYPE: Mapping[str, tuple[type[exp.Expr], ...]] = {
    "BIGINT": (
        exp.Count, exp.RowNumber, exp.Rank, exp.DenseRank, exp.Ntile, exp.ApproxDistinct, exp.Length, exp.StrPosition,
        exp.Year, exp.Month, exp.Day, exp.Hour, exp.Minute, exp.Quarter, exp.Week, exp.DayOfWeek, exp.DayOfYear,
        exp.DateDiff,
    ),
    "DATE": (exp.CurrentDate, exp.DateFromParts, exp.LastDay),
    "DOUBLE": (
        exp.PercentRank, exp.CumeDist, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop,
        exp.Corr, exp.Sqrt, exp.Ln, exp.Exp, exp.Pow, exp.Pi, exp.Rand,
    ),
    "HUGEINT": (exp.CountIf,),
    "TIMESTAMP WITH TIME ZONE": (exp.CurrentTimestamp,),
    "UUID": (exp.Uuid,),
    "VARCHAR": (
        exp.Upper, exp.Lower, exp.Concat, exp.ConcatWs, exp.GroupConcat, exp.Replace, exp.RegexpReplace, exp.Trim,
        exp.Substring, exp.Left, exp.Right, exp.Pad, exp.SplitPart, exp.TimeToStr, exp.Dayname, exp.Monthname, exp.MD5,
    ),
}  # fmt: skip
_ALWAYS_IN_DUCKDB = {kind: name for name, kinds in _BY_DUCKDB_TYPE.items() for kind in kinds}
_WHOLE_PARTS = frozenset({"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "QUARTER", "WEEK", "DOW", "ISODOW", "DOY"})
_MOMENTS = {"DATE": "TIMESTAMP", "TIMESTAMP": "TIMESTAMP", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP WITH TIME ZONE"}
"""What date_trunc and the addition of an interval make of a type."""
_SAME_AS_ARGUMENT = (exp.Min, exp.Max, exp.AnyValue, exp.First, exp.Last, exp.FirstValue, exp.LastValue, exp.NthValue,
                     exp.ArgMax, exp.ArgMin, exp.Paren, exp.Nullif, exp.Filter, exp.Order, exp.Window,
                     exp.IgnoreNulls, exp.RespectNulls)  # fmt: skip


def type_of(expression: exp.Expr, known: dict[int, str | None], dialect: str, depth: int = 0) -> str | None:
    """The warehouse's name of the type, or None.

    `known` has the types of columns and subqueries by `id` of the node; what is found is added to it, so that no part
    is looked at twice.
    """
    if id(expression) in known:
        return known[id(expression)]
    if depth > _MAX_DEPTH:
        return None

    def of(part: object) -> str | None:
        return type_of(part, known, dialect, depth + 1) if isinstance(part, exp.Expr) else None

    found: str | None = None
    if isinstance(expression, exp.Cast):
        target = expression.args.get("to")
        found = _cast_type(target, dialect) if isinstance(target, exp.DataType) else None
    elif dialect == "duckdb":
        found = _duckdb_rule(type(expression))(expression, of)
    else:
        found = postgres_type(expression, of)
    known[id(expression)] = found
    return found


def _find_duckdb_rule(kind: type) -> _Rule:
    """What finds the type of an expression of this class; looked up once for each class."""
    if kind in _ALWAYS_IN_DUCKDB:
        return _always(_ALWAYS_IN_DUCKDB[kind])
    if issubclass(kind, _BOOLEAN):
        return _always("BOOLEAN")
    if issubclass(kind, exp.Literal):
        return _literal
    if issubclass(kind, _SAME_AS_ARGUMENT):
        return _as_argument
    return next((rule for kinds, rule in _RULES if issubclass(kind, kinds)), _always(None))


_duckdb_rule: Callable[[type], _Rule] = functools.cache(_find_duckdb_rule)


def _always(name: str | None) -> _Rule:
    return lambda _expression, _of: name


def _literal(expression: exp.Expr, _of: _TypeOf) -> str | None:
    assert isinstance(expression, exp.Literal)
    return literal_type(expression)


def _as_argument(expression: exp.Expr, of: _TypeOf) -> str | None:
    several = expression.args.get("count") is not None or expression.args.get("expressions")
    return of(expression.this) if not several or isinstance(expression, exp.Order) else None


def _aggregate(expression: exp.Expr, of: _TypeOf) -> str | None:
    of_what = of(expression.this)
    if isinstance(expression, exp.Sum):
        return _sum_type(of_what)
    if isinstance(expression, exp.Avg):
        return "DOUBLE" if _is_number(of_what) else None
    return f"{of_what}[]" if of_what is not None else None


def _choice(expression: exp.Expr, of: _TypeOf) -> str | None:
    if isinstance(expression, exp.Case):
        results = [branch.args.get("true") for branch in expression.args.get("ifs") or ()]
        return _joint_type([*results, expression.args.get("default")], of)
    if isinstance(expression, exp.If):
        return _joint_type([expression.args.get("true"), expression.args.get("false")], of)
    return _joint_type([expression.this, *expression.expressions], of)


def _rounded(expression: exp.Expr, of: _TypeOf) -> str | None:
    of_what = of(expression.this)
    if of_what == "DOUBLE" or (of_what in _INTEGERS and not isinstance(expression, (exp.Floor, exp.Ceil))):
        return of_what
    if isinstance(expression, (exp.Neg, exp.Abs)) and _is_number(of_what):
        return of_what
    return "DOUBLE" if of_what in _INTEGERS else None


def _moment(expression: exp.Expr, of: _TypeOf) -> str | None:
    return _MOMENTS.get(of(expression.this) or "")


def _part_of_a_date(expression: exp.Expr, _of: _TypeOf) -> str | None:
    return "BIGINT" if expression.this.name.upper() in _WHOLE_PARTS else None


def _joined_text(expression: exp.Expr, of: _TypeOf) -> str | None:
    return "VARCHAR" if {of(expression.this), of(expression.expression)} == {"VARCHAR"} else None


def _arithmetic(expression: exp.Expr, of: _TypeOf) -> str | None:
    left, right = expression.this, expression.args.get("expression")
    if isinstance(expression, exp.Div):
        numbers = _is_number(of(left)) and _is_number(of(right))
        return "DOUBLE" if numbers and "FLOAT" not in (of(left), of(right)) else None
    if isinstance(expression, (exp.Add, exp.Sub)) and isinstance(right, exp.Interval):
        return _moment(expression, of)
    both = of(left), of(right)
    if "DOUBLE" in both and all(map(_is_number, both)):
        return "DOUBLE"
    joint = _joint_type([left, right], of)
    return joint if joint in _INTEGERS or joint == "DOUBLE" else None


_RULES: tuple[tuple[tuple[type[exp.Expr], ...], _Rule], ...] = (
    ((exp.Sum, exp.Avg, exp.ArrayAgg), _aggregate),
    ((exp.Coalesce, exp.Greatest, exp.Least, exp.Case, exp.If), _choice),
    ((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod), _arithmetic),
    ((exp.Neg, exp.Abs, exp.Round, exp.Floor, exp.Ceil), _rounded),
    ((exp.TimestampTrunc,), _moment),
    ((exp.Extract,), _part_of_a_date),
    ((exp.DPipe,), _joined_text),
)


def literal_type(literal: exp.Literal) -> str | None:
    """The parser does not tell `.5`, a DECIMAL(1,1), from `0.5`, a DECIMAL(2,1): then it is None."""
    text = literal.name
    if literal.is_string:
        return "VARCHAR"
    if text.isdecimal():
        return next((name for name in _INTEGERS[2:] if int(text) < _INTEGER_LIMITS[name]), None)
    whole, point, fraction = text.partition(".")
    if point and whole.isdecimal() and whole != "0" and fraction.isdecimal() and len(whole) + len(fraction) <= 38:
        return f"DECIMAL({len(whole) + len(fraction)},{len(fraction)})"
    return None


def joint_type(first: str | None, second: str | None, dialect: str = "duckdb") -> str | None:
    """The type of a column that has values of both types; None where that is not sure."""
    if dialect != "duckdb":
        return joint_postgres_type(first, second)
    if first == second:
        return first
    if first in _INTEGERS and second in _INTEGERS:
        return max(first, second, key=_INTEGERS.index)
    if "DOUBLE" in (first, second) and (first in _INTEGERS or second in _INTEGERS):
        return "DOUBLE"
    return None


def _joint_type(parts: Sequence[object], of: _TypeOf) -> str | None:
    """As `joint_type`; a whole number in the text takes the type of what it stands beside, if it fits."""
    joint: str | None = None
    numbers: list[exp.Expr] = []
    for part in parts:
        if part is None or isinstance(part, exp.Null):
            continue
        if _is_whole_number(part):
            assert isinstance(part, exp.Expr)
            numbers.append(part)
            continue
        part_type = of(part)
        if part_type is None:
            return None
        joint = part_type if joint is None else joint_type(joint, part_type)
        if joint is None:
            return None
    for number in numbers:
        joint = of(number) if joint is None else _beside_number(joint, number, of)
    return joint


def _is_whole_number(part: object) -> bool:
    if isinstance(part, exp.Neg):
        part = part.this
    return isinstance(part, exp.Literal) and not part.is_string and part.name.isdecimal()


def _beside_number(beside: str | None, number: exp.Expr, of: _TypeOf) -> str | None:
    literal = number.this if isinstance(number, exp.Neg) else number
    if beside in _INTEGERS and int(literal.name) < _INTEGER_LIMITS[beside]:
        return beside
    return joint_type(beside, of(number))


def _sum_type(of_what: str | None) -> str | None:
    if of_what in _INTEGERS or of_what == "BOOLEAN":
        return "HUGEINT"
    if of_what is not None and of_what.startswith("DECIMAL("):
        return f"DECIMAL(38,{of_what.rstrip(')').partition(',')[2]})"
    return of_what if of_what == "DOUBLE" else None


def _is_number(name: str | None) -> bool:
    return name in _INTEGERS or name in ("DOUBLE", "FLOAT") or (name is not None and name.startswith("DECIMAL("))


def _cast_type(target: exp.DataType, dialect: str) -> str | None:
    if target.args.get("nested") and target.this != exp.DType.ARRAY:
        return None
    if isinstance(target.this, exp.DType) and not any(value for part, value in target.args.items() if part != "this"):
        return _simple_type(target.this, dialect)
    return canonical_type(target.sql(dialect), dialect)


@functools.lru_cache(maxsize=1024)
def _simple_type(kind: exp.DType, dialect: str) -> str | None:
    """To write SQL takes longer than everything else that is done with a cast."""
    return canonical_type(exp.DataType(this=kind).sql(dialect), dialect)
