"""Parameters and cases in the header of a unit test, and `@param("name")` in its SQL."""

from __future__ import annotations

import decimal
import math
from collections.abc import Iterable, Mapping

from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.domain.unit_tests import Parameter
from sqlbuild.project.field_reader import FieldReader, nearest
from sqlbuild.project.located import Located, describe
from sqlbuild.project.sql_references import is_code

TYPES = ("string", "integer", "boolean", "float", "decimal")
_CALL = pattern(r'@param\s*\(\s*"([^"\n]*)"\s*\)')
_ANY_CALL = pattern(r"@param\b")
_DECIMAL = pattern(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)")


@record(frozen=True, slots=True, kw_only=True)
class Declared:
    """One parameter: the type of its values, and whether they may be null."""

    type: str
    nullable: bool = False


Cases = Mapping[str, Mapping[str, Parameter]]


def read_parameters(reader: FieldReader) -> dict[str, Declared]:
    """`parameters (status string, reason (type string, nullable true))`."""
    table = reader.table("parameters")
    declared: dict[str, Declared] = {}
    for name, entry in table.entries.items() if table is not None else ():
        assert table is not None
        nullable = False
        written: object = entry.value
        if isinstance(written, dict):
            inner = FieldReader(entry, table.name_of(name), reader.problems)
            inner.refuse_unknown(("type", "nullable"))
            nullable = inner.boolean("nullable") or False
            written = inner.text("type")
        if written not in TYPES:
            shown = "missing" if written is None else f"{describe(written)}"
            help = nearest(str(written), TYPES)
            table.refuse(name, f"the type of `{table.name_of(name)}` is {shown}", help, code="TEST_PARAMETERS")
            continue
        declared[name] = Declared(type=str(written), nullable=nullable)
    return declared


def read_cases(reader: FieldReader, declared: Mapping[str, Declared]) -> Cases:
    """The values of each case, as declared; empty where there are none or they are wrong."""
    table = reader.table("cases")
    if table is None:
        if declared:
            reader.refuse(
                "parameters",
                "there are parameters but no cases",
                "add cases (...)",
                code="TEST_PARAMETERS",
                at_key=True,
            )
        return {}
    cases: dict[str, Mapping[str, Parameter]] = {}
    for name, entry in table.entries.items():
        path = table.name_of(name)
        if not isinstance(entry.value, dict):
            _refuse(reader, entry, f"`{path}` must have values", f"write {name} (parameter value)")
            continue
        for missing in declared.keys() - entry.value.keys():
            _refuse(reader, entry, f"`{path}` gives no `{missing}`", "every case gives all parameters", at_key=True)
        for extra in entry.value.keys() - declared.keys():
            help = nearest(extra, declared) if declared else "declare it under `parameters`"
            message = f"`{path}.{extra}` is no parameter of this test"
            _refuse(reader, entry.value[extra], message, help, at_key=True)
        cases[name] = {
            key: _value(reader, f"{path}.{key}", value, declared[key])
            for key, value in entry.value.items()
            if key in declared
        }
    return cases


def _value(reader: FieldReader, path: str, entry: Located, declared: Declared) -> Parameter:
    value = entry.value
    if value is None:
        if not declared.nullable:
            _refuse(reader, entry, f"`{path}` is null", "declare the parameter with (type ..., nullable true)")
        return None
    match declared.type:
        case "string":
            right = isinstance(value, str)
        case "integer":
            right = isinstance(value, int) and not isinstance(value, bool)
        case "boolean":
            right = isinstance(value, bool)
        case "float":
            right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case _:
            right = isinstance(value, str) and _DECIMAL.fullmatch(value) is not None
    if not right:
        wanted = 'a decimal in quotes, as "0.20"' if declared.type == "decimal" else f"of type {declared.type}"
        _refuse(reader, entry, f"`{path}` must be {wanted}, not {describe(value)}", "write such a value")
        return None
    return value  # type: ignore[return-value]


def _refuse(reader: FieldReader, entry: Located, message: str, help: str, *, at_key: bool = False) -> None:
    reader.problems.append(entry.problem("TEST_PARAMETERS", message, help, at_key=at_key))


def used_parameters(sql: str) -> Iterable[tuple[str | None, int, int]]:
    """Name (None if it cannot be read), start and end of every `@param(...)` in code."""
    for found in _ANY_CALL.finditer(sql):
        if is_code(sql, 0, found.start()):
            call = _CALL.match(sql, found.start())
            yield (None, found.start(), found.end()) if call is None else (call.group(1), call.start(), call.end())


def with_values(
    text: str, start: int, end: int, values: Mapping[str, Parameter], declared: Mapping[str, Declared]
) -> str:
    """The text with literals in the place of the parameters between two offsets."""
    pieces: list[str] = [text[:start]]
    sql = text[start:end]
    position = 0
    for name, at, behind in used_parameters(sql):
        if name is None or name not in declared:
            continue
        pieces += [sql[position:at], _literal(values.get(name), declared[name].type)]
        position = behind
    return "".join((*pieces, sql[position:], text[end:]))


def _literal(value: Parameter, type: str) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if type == "decimal":
        exact = format(decimal.Decimal(str(value)), "f")
        return f"({exact})" if exact.startswith("-") else exact
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if type == "float":
        return f"CAST({value!r} AS DOUBLE PRECISION)"
    return f"({value})" if value < 0 else str(value)
