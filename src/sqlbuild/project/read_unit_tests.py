"""A file of `tests/unit/` becomes unit tests."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.unit_tests import CteRole, UnitTest, UnitTestCte, UnitTestMode
from sqlbuild.errors import Problem
from sqlbuild.project.field_reader import FieldReader, nearest
from sqlbuild.project.located import describe
from sqlbuild.project.macros import Macros
from sqlbuild.project.model_fields import DISABLED, fold_prose, read_duration, read_retry
from sqlbuild.project.sql_references import Visible, read_query
from sqlbuild.project.text_file import TextFile
from sqlbuild.project.unit_test_blocks import Block, CteText, read_blocks
from sqlbuild.project.unit_test_parameters import Declared, read_cases, read_parameters, used_parameters, with_values

TEST_KEYS = frozenset(
    [
        "name",
        "mode",
        "parameters",
        "cases",
        "description",
        "tags",
        "retry",
        "timeout",
        "pool",
        "sql_analysis",
        "cursor_start",
        "cursor_end",
    ]
)
NO_MODELS: Mapping[str, str] = {}
_PREFIXES = {
    "__source__": CteRole.SOURCE,
    "__ref__": CteRole.REF,
    "__seed__": CteRole.SEED,
    "__table_fn__": CteRole.TABLE_FN,
    "__macro__": CteRole.MACRO,
    "__expected__": CteRole.EXPECTED,
    "__assert__": CteRole.ASSERT,
}
_READ_BY_FUNCTIONS = frozenset({CteRole.SOURCE, CteRole.REF, CteRole.SEED})
_OF_FUNCTIONS = frozenset({UnitTestMode.UDF, UnitTestMode.TABLE_FN})
_OF_MODES = {
    UnitTestMode.MACRO: ("__macro_actual__", "__macro_expected__"),
    UnitTestMode.UDF: ("__udf_actual__", "__udf_expected__"),
    UnitTestMode.TABLE_FN: ("__table_fn_actual__", "__table_fn_expected__"),
}
_PREFIX = pattern(r"__[a-z0-9]+(?:_[a-z0-9]+)*__", re.IGNORECASE)
_EMPTY = pattern(r"\s*SELECT\s*\*\s*FROM\s+__empty_fixture\s*\(\s*\)\s*", re.IGNORECASE)


def read_unit_tests(
    file: TextFile, problems: list[Problem], macros: Macros | None = None, models: Mapping[str, str] = NO_MODELS
) -> list[UnitTest]:
    """The tests of `file`, each case of a block one of its own.

    `models` are the paths of models by lower-case name: a test sees the macros of those whose rows it expects.
    """
    blocks = read_blocks(file, problems)
    tests: list[UnitTest] = []
    for number, block in enumerate(blocks):
        reader = FieldReader(block.entries, "", problems)
        name = _name(file, block, reader, is_only=len(blocks) == 1)
        declared = read_parameters(reader)
        cases = read_cases(reader, declared)
        _compare_use(file, block, name, declared, problems)
        if not cases:
            tests.append(_test(file, block, reader, name, _visible(file, block, macros, models)))
        for case, values in cases.items():
            # The SQL of a case is read with its values in it: macros may be given them.
            text = with_values(file.text, block.ctes[0].start, block.ctes[-1].end, values, declared)
            of_case = TextFile(file.path, text)
            again = read_blocks(of_case, [])[number]
            found: list[Problem] = []
            test = _test(
                of_case, again, FieldReader(again.entries, "", found), name, _visible(file, again, macros, models)
            )
            problems += _untold(found, problems)
            tests.append(dataclasses.replace(test, name=f"{name}[{case}]", case=case, parameters=values))
    return tests


def _untold(found: Iterable[Problem], problems: Iterable[Problem]) -> list[Problem]:
    """Problems of a case that no other case has told."""
    told = {(problem.code, problem.line, problem.message) for problem in problems}
    return [problem for problem in found if (problem.code, problem.line, problem.message) not in told]


def _name(file: TextFile, block: Block, reader: FieldReader, *, is_only: bool) -> str:
    name = reader.text("name")
    stem = PurePosixPath(file.path).stem
    if name is None and not is_only:
        help = 'write TEST (name "..."); with another name for each'
        reader.problems.append(
            file.problem("TEST_NAME", "a file with several tests names each of them", help, block.offset)
        )
    if name is not None and (not name.isprintable() or name != name.strip()):
        reader.refuse("name", "the name has line breaks or blanks at its ends", "write one line of text")
    return name or stem


def _test(file: TextFile, block: Block, reader: FieldReader, name: str, macros: Visible | None) -> UnitTest:
    mode, stated = _mode(block, reader)
    reader.refuse_unknown(TEST_KEYS)
    timeout = reader.entries.get("timeout")
    is_disabled = timeout is not None and timeout.value == DISABLED
    classified = [_role(file, each, mode, stated=stated, problems=reader.problems) for each in block.ctes]
    ctes = [
        _cte(file, each, what, macros, reader.problems)
        for each, what in zip(block.ctes, classified, strict=True)
        if what is not None
    ]
    _refuse_twice(file, block.ctes, reader.problems)
    fields: dict[str, Any] = {
        "description": fold_prose(reader.text("description", empty=True)),
        "tags": reader.texts("tags"),
        "retry": read_retry(reader),
        "timeout": read_duration(reader, "timeout"),
        "pools": reader.texts("pool"),
        "sql_analysis": reader.boolean("sql_analysis"),
        "cursor_start": _bound(reader, "cursor_start"),
        "cursor_end": _bound(reader, "cursor_end"),
    }
    return UnitTest(
        name=name,
        block=name,
        place=file.place(block.offset),
        mode=mode,
        ctes=tuple(ctes),
        is_recursive=block.is_recursive,
        has_time_limit=not is_disabled,
        **{key: value for key, value in fields.items() if value is not None},
    )


def _bound(reader: FieldReader, key: str) -> str | None:
    """A date, a time or a whole number, as text."""
    entry = reader.entries.get(key)
    if entry is not None and isinstance(entry.value, int) and not isinstance(entry.value, bool):
        return str(entry.value)
    return reader.text(key)


def _mode(block: Block, reader: FieldReader) -> tuple[UnitTestMode, bool]:
    """What the header says, else what the CTEs tell; and whether the header did."""
    written = reader.text("mode")
    if written is not None and written in list(UnitTestMode):
        return UnitTestMode(written), True
    if written is not None:
        help = nearest(written, list(UnitTestMode))
        reader.refuse("mode", f"`mode` must be model, macro, udf or table_fn, not {describe(written)}", help)
    names = {cte.name.lower() for cte in block.ctes}
    inferred = (mode for mode, (actual, _) in _OF_MODES.items() if actual in names)
    return next(inferred, UnitTestMode.MODEL), False


def _visible(file: TextFile, block: Block, macros: Macros | None, models: Mapping[str, str]) -> Visible | None:
    if macros is None:
        return None
    expected = (cte.name.lower().removeprefix("__expected__") for cte in block.ctes)
    return Visible(macros, (file.path, *(models[name] for name in expected if name in models)))


def _cte(
    file: TextFile, found: CteText, what: tuple[CteRole, str], macros: Visible | None, problems: list[Problem]
) -> UnitTestCte:
    role, subject = what
    body = file.text[found.start : found.end]
    is_empty = _EMPTY.fullmatch(body) is not None
    query = read_query(TextFile(file.path, file.text[: found.end]), found.start, problems, macros)
    line, column = file.line_and_column(query.start)
    return UnitTestCte(
        name=found.name,
        role=role,
        subject=subject,
        place=file.place(found.offset),
        columns=found.columns,
        sql=query.sql,
        sql_line=line,
        sql_column=column,
        references=query.references,
        expansions=query.expansions,
        is_empty=is_empty,
    )


def _role(
    file: TextFile, found: CteText, mode: UnitTestMode, *, stated: bool, problems: list[Problem]
) -> tuple[CteRole, str] | None:
    """What a CTE is for and what it stands for, by its name."""
    name = found.name.lower()

    def refuse(message: str, help: str, code: str = "TEST_CTE") -> None:
        problems.append(file.problem(code, message, help, found.offset))

    for other, (actual, expected) in _OF_MODES.items():
        if name in (actual, expected):
            if other is mode:
                return (CteRole.ACTUAL if name == actual else CteRole.EXPECTED), other.value
            said = f"is declared with mode {mode}" if stated else f"has no {actual}" if mode.value == "model" else ""
            refuse(
                f"{found.name} belongs to a test of mode {other}; this one {said or f'is of mode {mode}'}", _fix(mode)
            )
            return None
    prefix = _PREFIX.match(found.name)
    written = prefix.group().lower() if prefix is not None else ""
    role = next((role for known, role in _PREFIXES.items() if name.startswith(known)), None)
    if role is not None:
        subject = found.name[len(next(known for known in _PREFIXES if name.startswith(known))) :]
        if not subject:
            refuse(f"{found.name} names nothing", f"write {found.name.lower()}NAME")
            return None
        if mode is not UnitTestMode.MODEL and not (role in _READ_BY_FUNCTIONS and mode in _OF_FUNCTIONS):
            refuse(f"{found.name} belongs to a test of a model; this one is of mode {mode}", _fix(mode))
            return None
        return role, subject
    if name.startswith("__dbt_ref__"):
        refuse("`__dbt_ref__`: references to dbt projects are not supported", "mock a source or model", "UNSUPPORTED")
        return None
    if written == "__helper__":
        refuse(f"{found.name}: names of helpers do not begin with __helper__", f"call it {found.name[10:] or 'rows'}")
        return None
    if written or name.startswith("__"):
        known = [*_PREFIXES, *(name for names in _OF_MODES.values() for name in names)]
        close = difflib.get_close_matches(written or name, known, n=1, cutoff=0.5)
        help = f"did you mean `{close[0]}`?" if close else f"known are {', '.join(known)}; a helper has no __ in front"
        refuse(f"`{written or found.name}` is no prefix of a CTE of a test", help)
        return None
    return CteRole.HELPER, found.name


def _fix(mode: UnitTestMode) -> str:
    if mode is UnitTestMode.MODEL:
        return "correct `mode` or leave it out: it is told by the CTEs"
    actual, expected = _OF_MODES[mode]
    mocks = ", mocks of what its functions read" if mode in _OF_FUNCTIONS else ""
    return f"such a test has {actual}, {expected}{mocks} and helpers"


def _refuse_twice(file: TextFile, ctes: Iterable[CteText], problems: list[Problem]) -> None:
    seen: dict[str, CteText] = {}
    for cte in ctes:
        first = seen.setdefault(cte.name.lower(), cte)
        if first is not cte:
            line, _ = file.line_and_column(first.offset)
            message = f"the CTE {cte.name} stands twice, first on line {line}"
            problems.append(file.problem("TEST_CTE", message, "rename or remove one", cte.offset))


def _compare_use(
    file: TextFile, block: Block, test: str, declared: Mapping[str, Declared], problems: list[Problem]
) -> None:
    """Every `@param` is declared, every parameter is used."""
    used: set[str] = set()
    for text in block.ctes:
        for name, start, _ in used_parameters(file.text[text.start : text.end]):
            at = text.start + start
            if name is None:
                help = 'write @param("name")'
                problems.append(file.problem("TEST_PARAMETERS", "this @param names no parameter", help, at))
            elif name not in declared:
                help = nearest(name, declared) if declared else f"declare it: parameters ({name} string)"
                problems.append(file.problem("TEST_PARAMETERS", f'@param("{name}") is not declared', help, at))
            else:
                used.add(name)
    for name in declared.keys() - used:
        message = f"the parameter {name} of {test} is used nowhere"
        problems.append(file.problem("TEST_PARAMETERS", message, f'write @param("{name}") or remove it', block.offset))
