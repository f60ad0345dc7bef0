"""The keys of a MODEL header, wherever they are written: `[defaults]`, `[path_defaults.*]`, the header itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlbuild.domain.columns import Column
from sqlbuild.domain.nodes import AuditUse, Materialization
from sqlbuild.domain.pattern import pattern
from sqlbuild.project.field_reader import FieldReader, nearest
from sqlbuild.project.incremental_fields import merge_incremental, read_incremental_fields
from sqlbuild.project.known_keys import (
    COLUMN_KEYS,
    IGNORED_COLUMN_KEYS,
    IGNORED_MODEL_KEYS,
    INCREMENTAL_KEYS,
    MATERIALIZATIONS_TO_COME,
    MODEL_KEYS,
    REFUSED_MODEL_KEYS,
    RETRY_KEYS,
)
from sqlbuild.project.located import describe
from sqlbuild.project.read_audits import read_audits
from sqlbuild.project.relation_fields import read_grants, read_indexes
from sqlbuild.retries import RetryPolicy

DISABLED = "disabled"
"""What stands for no time limit."""

ModelFields = Mapping[str, object]
"""Checked values by the name of their field in `domain.nodes.Model`; None takes back what a lower layer says.
`incremental` has those of `domain.incremental.Incremental`, again by name."""

_FIELD_OF_KEY = {"pool": "pools", "max_duration": "timeout"}
_DURATION = pattern(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def read_model_fields(reader: FieldReader, *, known: frozenset[str] = MODEL_KEYS) -> dict[str, object]:
    """The checked fields of one layer; what is unknown, wrong or not supported yet becomes a problem."""
    written = reader.entries
    fields: dict[str, object] = {
        _FIELD_OF_KEY.get(key, key): None
        for key, entry in written.items()
        if (entry.value is None or (key == "max_duration" and entry.value == DISABLED))
        and key in known
        and key not in INCREMENTAL_KEYS
    }
    for field, keys, read in _FIELDS:
        if not written.keys().isdisjoint(keys):
            value = read(reader)
            if value is not None:
                fields[field] = value
    _refuse_other_keys(reader, known)
    return fields


def merge_layers(*layers: ModelFields) -> dict[str, Any]:
    """Later layers win; tags of all of them count."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if value is None:
                merged.pop(key, None)
            elif key == "incremental":
                merged[key] = merge_incremental(merged.get(key, {}), value)  # type: ignore[arg-type]
            elif key == "tags":
                merged[key] = tuple(dict.fromkeys((*merged.get(key, ()), *value)))  # type: ignore[misc]
            else:
                merged[key] = value
    return merged


def read_column(
    reader: FieldReader, name: str, *, ignored: Mapping[str, str], unsupported: Mapping[str, str] | None = None
) -> Column:
    """One column by its keys; keys of `ignored` are dealt with by the caller, those of `unsupported` are a warning."""
    reader.refuse_unknown(COLUMN_KEYS | set(ignored), unsupported or {})
    return Column(
        name=name,
        type=reader.text("type"),
        nullable=reader.boolean("nullable"),
        description=fold_prose(reader.text("description", empty=True)) or "",
        meta=reader.json_table("meta") or {},
    )


def fold_prose(text: str | None) -> str | None:
    """Text of several lines with each paragraph on one line, and a blank line between paragraphs."""
    if text is None or "\n" not in text:
        return text
    paragraphs = re.split(r"\n[ \t]*\n", text.strip())
    return "\n\n".join(re.sub(r"[ \t]*\n[ \t]*", " ", paragraph.strip()) for paragraph in paragraphs)


def duration_seconds(text: str) -> float | None:
    """Seconds of `90s`, `15m`, `1h30m`; None if it is no duration above zero."""
    found = _DURATION.fullmatch(text.strip())
    hours, minutes, seconds = (float(part or 0) for part in found.groups()) if found else (0.0, 0.0, 0.0)
    return hours * 3600 + minutes * 60 + seconds or None


def _refuse_other_keys(reader: FieldReader, known: frozenset[str]) -> None:
    if "name" in reader.entries:
        reader.refuse(
            "name",
            f"unknown key `{reader.name_of('name')}`",
            "a model is called like its file; `alias` gives its table another name",
            code="UNKNOWN_KEY",
            at_key=True,
        )
    if "enabled" in reader.entries and reader.boolean("enabled") is False:
        reader.refuse(
            "enabled",
            f"`{reader.name_of('enabled')} false` is not supported yet",
            "move the file out of models/, or begin its name with _",
            code="UNSUPPORTED",
            at_key=True,
        )
    refused = [key for key in REFUSED_MODEL_KEYS if key in reader.entries]
    for key in refused:
        reader.refuse(
            key,
            f"`{reader.name_of(key)}` is not supported yet",
            REFUSED_MODEL_KEYS[key],
            code="UNSUPPORTED",
            at_key=True,
        )
    cannot_be_built = (
        "materialized" in reader.entries and reader.entries["materialized"].value in MATERIALIZATIONS_TO_COME
    )
    if cannot_be_built:
        known = known | IGNORED_MODEL_KEYS.keys()
    reader.refuse_unknown(known | {"enabled"}, IGNORED_MODEL_KEYS, told={*refused, "name"})


def _materialized(reader: FieldReader) -> Materialization | None:
    written = reader.text("materialized")
    if written is None or written in list(Materialization):
        return None if written is None else Materialization(written)
    if written in MATERIALIZATIONS_TO_COME:
        reader.refuse(
            "materialized",
            f"`{reader.name_of('materialized')} {written}` is not supported yet",
            "use table, which builds the whole query each time",
            code="UNSUPPORTED",
        )
    else:
        reader.refuse(
            "materialized",
            f"`{reader.name_of('materialized')}` must be table, view or incremental, not {describe(written)}",
            nearest(written, list(Materialization)),
        )
    return None


def read_name(reader: FieldReader, key: str) -> str | None:
    """The name of a schema, database or table; names take no placeholders."""
    written = reader.text(key)
    if written is not None and "${" in written:
        reader.refuse(
            key,
            f"`{reader.name_of(key)}` contains a placeholder, which is only known in sqlbuild_project.toml",
            "write the name out, or set it under [path_defaults] in sqlbuild_project.toml",
            code="UNSUPPORTED",
        )
        return None
    return written


def read_place(reader: FieldReader, key: str, kind: str, defaults: Mapping[str, object]) -> str | None:
    """The schema or database of a seed or function: its own, else what `[defaults]` says of the kind, else of everything."""
    for found in (read_name(reader, key), defaults.get(f"{kind}_{key}"), defaults.get(key)):
        if isinstance(found, str):
            return found
    return None


def _columns(reader: FieldReader) -> tuple[Column, ...] | None:
    table = reader.table("columns")
    if table is None:
        return None
    columns: dict[str, Column] = {}
    for name, entry in table.entries.items():
        if not isinstance(entry.value, dict):
            table.refuse(
                name,
                f"`{table.name_of(name)}` must be a table, not {describe(entry.value)}",
                f"write {name} (type INTEGER), for example",
                code="WRONG_TYPE",
            )
            continue
        keys = FieldReader(entry, table.name_of(name), reader.problems)
        if name.lower() in columns:
            table.refuse(
                name,
                f"`{table.name_of(name)}` is declared twice",
                "case does not matter; keep one",
                code="DUPLICATE_KEY",
                at_key=True,
            )
        columns[name.lower()] = read_column(keys, name, ignored={"audits": ""}, unsupported=IGNORED_COLUMN_KEYS)
    return tuple(columns.values())


def _audits(reader: FieldReader) -> tuple[AuditUse, ...] | None:
    """Those of the columns, then those of the model as a whole."""
    columns = reader.entries.get("columns")
    audited = {name: entry for name, entry in (columns.table if columns else {}).items() if "audits" in entry.table}
    if not audited and "audits" not in reader.entries:
        return None
    of_columns = [
        use
        for name, entry in audited.items()
        for use in read_audits(FieldReader(entry, f"{reader.name_of('columns')}.{name}", reader.problems), name)
    ]
    return (*of_columns, *read_audits(reader))


def read_retry(reader: FieldReader) -> RetryPolicy | None:
    example = "retry (max_attempts 3)" if reader.located.file.path.endswith(".sql") else "retry: {max_attempts: 3}"
    table = reader.table("retry")
    if table is None:
        return None
    table.refuse_unknown(RETRY_KEYS)
    written: dict[str, Any] = {}
    for key, entry in table.entries.items():
        if key not in RETRY_KEYS or (entry.value is None and key != "max_elapsed_seconds"):
            continue
        try:
            RetryPolicy(**{key: entry.value})  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            table.refuse(key, f"`{table.path}`: {error}", f"write for example {example}")
        else:
            written[key] = entry.value
    return RetryPolicy(**written)


def read_timeout(reader: FieldReader) -> float | None:
    """Seconds, from `timeout` or from `max_duration`, which is another word for it."""
    keys = [key for key in ("timeout", "max_duration") if key in reader.entries]
    if len(keys) == 2:
        reader.refuse("max_duration", "`max_duration` and `timeout` mean the same", "keep one of them", at_key=True)
    seconds: float | None = None
    for key in keys:
        seconds = read_duration(reader, key, may_be_disabled=key == "max_duration")
    return seconds


def read_duration(reader: FieldReader, key: str, *, may_be_disabled: bool = True) -> float | None:
    """Seconds; None where nothing is written, it is wrong, or it is `disabled`."""
    entry = reader.entries.get(key)
    if entry is None:
        return None
    written = entry.value
    if not isinstance(written, str):
        return reader.number(key, above=0.0)
    seconds = duration_seconds(written)
    if seconds is None and not (may_be_disabled and written == DISABLED):
        reader.refuse(
            key,
            f"`{reader.name_of(key)}` must be a number of seconds or a duration, not {describe(written)}",
            f'write for example {key} 90 or {key} "1h30m"',
        )
    return seconds


_FIELDS: tuple[tuple[str, Collection[str], Callable[[FieldReader], object]], ...] = (
    ("description", ("description",), lambda reader: fold_prose(reader.text("description", empty=True))),
    ("materialized", ("materialized",), _materialized),
    ("tags", ("tags",), lambda reader: reader.texts("tags")),
    ("group", ("group",), lambda reader: reader.text("group")),
    ("meta", ("meta",), lambda reader: reader.json_table("meta")),
    ("columns", ("columns",), _columns),
    ("contract", ("contract",), lambda reader: reader.choice("contract", ("enforced", "none"))),
    ("schema", ("schema",), lambda reader: read_name(reader, "schema")),
    ("database", ("database",), lambda reader: read_name(reader, "database")),
    ("alias", ("alias",), lambda reader: read_name(reader, "alias")),
    ("retry", ("retry",), read_retry),
    ("timeout", ("timeout", "max_duration"), read_timeout),
    ("pools", ("pool",), lambda reader: reader.texts("pool")),
    ("indexes", ("indexes",), read_indexes),
    ("grants", ("grants",), read_grants),
    ("sql_analysis", ("sql_analysis",), lambda reader: reader.boolean("sql_analysis")),
    ("incremental", INCREMENTAL_KEYS, lambda reader: read_incremental_fields(reader) or None),
    ("audits", ("audits", "columns"), _audits),
)
"""Fields of a model, the keys that give each, and how they are read. Most headers have two or three keys."""
