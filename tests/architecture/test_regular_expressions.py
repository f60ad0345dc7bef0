from __future__ import annotations

import importlib
import pkgutil
import re
from re import _constants, _parser  # type: ignore[attr-defined]

import sqlbuild
from sqlbuild.domain.pattern import Pattern


def test_no_possessive_repeat_holds_a_lookaround():
    """Python before 3.11.5 matches `(?:(?!x).)*+` wrongly, down to endless empty matches (CPython issue 106052)."""
    wrong = [
        f"{module}.{name}"
        for module in _modules()
        for name, value in vars(importlib.import_module(module)).items()
        if isinstance(value, Pattern) and _has_looking_possessive(_parser.parse(value.pattern, value.flags))
    ]
    assert wrong == [], "repeat greedily, with `*` instead of `*+`, or let alternatives begin with different characters"


def test_no_regular_expression_is_compiled_when_a_module_is_loaded():
    compiled = [
        f"{module}.{name}"
        for module in _modules()
        for name, value in vars(importlib.import_module(module)).items()
        if isinstance(value, re.Pattern)
    ]
    assert compiled == [], "make it with `sqlbuild.domain.pattern.pattern`"


def _modules() -> list[str]:
    found = (module.name for module in pkgutil.walk_packages(sqlbuild.__path__, "sqlbuild."))
    return [name for name in found if ".templates" not in name and not name.endswith("__main__")]


def _has_looking_possessive(parsed: object, *, inside: bool = False) -> bool:
    """Whether a lookaround stands anywhere below a possessive repeat in a parsed pattern."""
    if isinstance(parsed, _parser.SubPattern | list):
        return any(_has_looking_possessive(each, inside=inside) for each in parsed)
    if not isinstance(parsed, tuple) or not parsed:
        return False
    operation, *rest = parsed
    if inside and operation in (_constants.ASSERT, _constants.ASSERT_NOT):
        return True
    within = inside or operation is _constants.POSSESSIVE_REPEAT
    return any(_has_looking_possessive(each, inside=within) for each in (operation, *rest))
