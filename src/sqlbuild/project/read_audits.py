"""What stands under `audits` in a model's header or in YAML becomes `AuditUse` records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, get_args

from sqlbuild.domain.nodes import AuditUse, AuditValue, RunScope, Severity
from sqlbuild.domain.pattern import pattern
from sqlbuild.errors import Problem
from sqlbuild.project.field_reader import FieldReader, nearest
from sqlbuild.project.known_keys import AUDIT_OPTIONS, MEASUREMENT_OPTIONS
from sqlbuild.project.located import Call, Located, describe
from sqlbuild.refs import Reference, ReferenceKind

_REFERENCE = pattern(r"__(ref|source|seed)\(\s*[\"']([^\"'\n]+)[\"']\s*\)")
_KINDS: Mapping[str, ReferenceKind] = {"ref": "model", "source": "source", "seed": "seed"}
_IN_SQL = "write for example audits [not_null, accepted_values (values [1, 2])]"
_IN_YAML = "write for example `audits: [not_null, {accepted_values: {values: [1, 2]}}]`"
assert set(_KINDS.values()) <= set(get_args(ReferenceKind))

Option = TypeVar("Option", RunScope, Severity)


def read_audits(reader: FieldReader, column: str | None = None) -> tuple[AuditUse, ...]:
    """The audits under the key `audits` of a model, source, seed or column; what is wrong becomes a problem."""
    entry = reader.entries.get("audits")
    if entry is None or entry.value is None:
        return ()
    path = reader.name_of("audits")
    if not isinstance(entry.value, tuple):
        reader.refuse(
            "audits", f"`{path}` must be a list, not {describe(entry.value)}", _example(entry), code="WRONG_TYPE"
        )
        return ()
    found = (_use(item, f"{path}[{index}]", column, reader.problems) for index, item in enumerate(entry.value))
    return tuple(use for use in found if use is not None)


def read_audits_of_columns(reader: FieldReader) -> tuple[AuditUse, ...]:
    """Those of a YAML entry and of its columns; what is wrong with the columns themselves is not looked at."""
    found = list(read_audits(reader))
    entry = reader.entries.get("columns")
    items = entry.value if entry is not None and isinstance(entry.value, tuple) else ()
    for index, item in enumerate(items):
        keys = FieldReader(item, f"{reader.name_of('columns')}[{index}]", reader.problems)
        name = keys.entries.get("name")
        if name is not None and isinstance(name.value, str):
            found += read_audits(keys, name.value)
    return tuple(found)


def _use(item: Located, path: str, column: str | None, problems: list[Problem]) -> AuditUse | None:
    value = item.value
    options: Mapping[str, Located] = {}
    if isinstance(value, dict) and len(value) == 1:
        # `- name: {...}` in YAML.
        (value, given), item = next(iter(value.items())), next(iter(value.values()))
        if given.value is not None and not isinstance(given.value, dict):
            message = f"`{path}.{value}` must be a table, not {describe(given.value)}"
            problems.append(given.problem("WRONG_TYPE", message, _example(item)))
            return None
        options = given.table
    elif isinstance(value, Call) and not value.arguments:
        options = value.options
        value = value.name
    if not isinstance(value, str) or not value.strip():
        shown = "several keys" if isinstance(value, dict) else describe(value)
        problems.append(item.problem("WRONG_TYPE", f"`{path}` must name one audit, not {shown}", _example(item)))
        return None
    return _with_options(
        value, FieldReader(Located(options, item.file, item.offset), f"{path}.{value}", problems), column
    )


def _with_options(definition: str, reader: FieldReader, column: str | None) -> AuditUse | None:
    """None for one whose arguments are wrong."""
    item = reader.located
    for key in MEASUREMENT_OPTIONS & reader.entries.keys():
        message = f"`{reader.name_of(key)}`: audits that measure are not supported"
        help = "let the query return the rows that are wrong, and give the audit a severity"
        reader.refuse(key, message, help, code="UNSUPPORTED")
    arguments: dict[str, AuditValue] = {}
    for key, entry in reader.entries.items():
        if key in AUDIT_OPTIONS or key in MEASUREMENT_OPTIONS:
            continue
        if (found := _value(entry)) is not _WRONG:
            arguments[key] = found  # type: ignore[assignment]
        else:
            message = f"`{reader.name_of(key)}` must be a text, number, list or reference, not {describe(entry.value)}"
            help = 'write for example to __ref("customers"), or the SQL as text in quotes'
            reader.problems.append(entry.problem("WRONG_TYPE", message, help))
            return None
    return AuditUse(
        definition=definition,
        place=item.file.place(item.offset),
        column=column if column is not None else _column(arguments),
        arguments=arguments,
        name=reader.text("name"),
        severity=read_option(reader, "severity", Severity),
        run_scope=read_option(reader, "run_scope", RunScope),
        description=reader.text("description", empty=True) or "",
        meta=reader.json_table("meta") or {},
    )


def read_option(reader: FieldReader, key: str, known: type[Option]) -> Option | None:
    """One word of an enum."""
    written = reader.text(key)
    words = [option.value for option in known]
    if written is None or written in words:
        return None if written is None else known(written)
    message = f"`{reader.name_of(key)}` must be {' or '.join(words)}, not {describe(written)}"
    reader.refuse(key, message, nearest(written, words))
    return None


def _column(arguments: Mapping[str, AuditValue]) -> str | None:
    """An audit of a whole table may say itself which column it is about."""
    column = arguments.get("column")
    return column if isinstance(column, str) else None


_WRONG = object()


def _value(entry: Located) -> object:
    value = entry.value
    if isinstance(value, Call):
        named = value.arguments[0].value if len(value.arguments) == 1 and not value.options else None
        kind = _KINDS.get(value.name.removeprefix("__")) if value.name.startswith("__") else None
        return Reference(kind, named) if kind is not None and isinstance(named, str) else _WRONG
    if isinstance(value, tuple):
        items = tuple(_value(item) for item in value)
        return _WRONG if any(item is _WRONG for item in items) else items
    if isinstance(value, str) and (found := _REFERENCE.fullmatch(value.strip())):
        return Reference(_KINDS[found[1]], found[2])
    return value if value is None or isinstance(value, str | bool | int | float) else _WRONG


def _example(item: Located) -> str:
    return _IN_SQL if item.file.path.endswith(".sql") else _IN_YAML
