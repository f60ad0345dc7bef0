"""The header keys of incremental models: how their tables grow."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from sqlbuild.domain.ids import Place
from sqlbuild.domain.incremental import (
    FORWARD,
    BatchLimit,
    CursorInput,
    CursorType,
    Grain,
    Incremental,
    IncrementalStrategy,
    OnSchemaChange,
    Replay,
    parse_span,
)
from sqlbuild.domain.pattern import pattern
from sqlbuild.project.field_reader import FieldReader, nearest
from sqlbuild.project.known_keys import INCREMENTAL_KEYS
from sqlbuild.project.located import Located, describe

T = TypeVar("T")

_INPUT_KEYS = frozenset({"column", "roles"})
_ROLES = ("filter", "watermark")
_LIMIT_KEYS = frozenset({"max_batches", "action"})
_ACTIONS = ("error", "warn", "cap_from_start", "cap_from_end")
_BOUNDED = "bounded-"
_REPLAY_SPAN = pattern(r"\d+[dhms]")
_INPUT_EXAMPLE = "write for example cursor_inputs (orders ordered_at)"


def read_incremental_fields(reader: FieldReader) -> dict[str, object]:
    """Checked values by the name of their field in `domain.incremental.Incremental`, and the `places` of their keys.

    A key that is null takes back what a lower layer says, as in `merge_incremental`.
    """
    written = INCREMENTAL_KEYS & reader.entries.keys()
    if not written:
        return {}
    _refuse_unsupported(reader)
    found: dict[str, object] = {}
    for key in sorted(written):
        field, read = _FIELDS.get(key, ("", None))
        if read is None:
            continue
        value = None if reader.entries[key].value is None else read(reader, key)
        if value is not None or reader.entries[key].value is None:
            found[field] = value
    found["places"] = {key: place for key in written if (place := _place(reader.entries[key])) is not None}
    return found


def merge_incremental(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """The fields of two layers; the upper one wins."""
    merged = {**below, **above}
    merged["places"] = {**_table(below.get("places")), **_table(above.get("places"))}
    return merged


def incremental_of(fields: Mapping[str, object]) -> Incremental:
    given: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    return Incremental(**given)


def warn_of_no_effect(reader: FieldReader) -> None:
    """For the header of a model that is not incremental. A `unique_key` says something about any table."""
    for key in sorted(INCREMENTAL_KEYS & reader.entries.keys() - {"unique_key"}):
        reader.problems.append(
            reader.entries[key].problem(
                "NO_EFFECT",
                f"`{key}` has no effect: the model is not incremental",
                "write `materialized incremental`, or remove the key",
                at_key=True,
                severity="warning",
            )
        )


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _place(entry: Located) -> Place | None:
    return entry.file.place(entry.offset) if entry.offset is not None else None


def _choice(words: Iterable[str], make: Callable[[str], T]) -> Callable[[FieldReader, str], T | None]:
    known = list(words)

    def read(reader: FieldReader, key: str) -> T | None:
        written = reader.text(key)
        if written is None:
            return None
        if written not in known:
            shown = ", ".join(known[:-1]) + f" or {known[-1]}" if len(known) > 1 else known[0]
            message = f"`{reader.name_of(key)}` must be {shown}, not {describe(written)}"
            reader.refuse(key, message, nearest(written, known))
            return None
        return make(written)

    return read


def _columns(reader: FieldReader, key: str) -> tuple[str, ...] | None:
    names = reader.texts(key)
    if names == ():
        reader.refuse(key, f"`{reader.name_of(key)}` is empty", "name at least one column, or remove the key")
        return None
    return names


def _text(reader: FieldReader, key: str) -> str | None:
    return reader.text(key)


def _flag(reader: FieldReader, key: str) -> bool | None:
    return reader.boolean(key)


def _text_or_number(reader: FieldReader, key: str) -> str | int | None:
    """Its meaning depends on the type of the cursor."""
    value = reader.entries[key].value
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return reader.text(key)


def _replay(reader: FieldReader, key: str) -> Replay | None:
    written = reader.text(key)
    if written is None:
        return None
    if written in ("forward", "full"):
        return Replay(full=True) if written == "full" else FORWARD
    length = written.removeprefix(_BOUNDED)
    span = parse_span(length) if length != written and _REPLAY_SPAN.fullmatch(length) else None
    if span is None:
        reader.refuse(
            key,
            f"`{reader.name_of(key)}` must be forward, full or bounded-<duration>, not {describe(written)}",
            "write for example bounded-14d, with d, h, m or s for the unit",
        )
        return None
    return Replay(span=span)


def _inputs(reader: FieldReader, key: str) -> tuple[CursorInput, ...] | None:
    table = reader.table(key)
    if table is None:
        return None
    found: list[CursorInput] = []
    for name, entry in table.entries.items():
        made = _input(table, name, entry)
        found += [made] if made is not None else []
    if not table.entries:
        reader.refuse(key, f"`{reader.name_of(key)}` is empty", _INPUT_EXAMPLE)
        return None
    return tuple(found)


def _input(table: FieldReader, name: str, entry: Located) -> CursorInput | None:
    place = table.located.file.place(entry.key_offset) if entry.key_offset is not None else _place(entry)
    if isinstance(entry.value, str):
        column = table.text(name)
        return None if column is None else CursorInput(name=name, column=column, place=place)
    if not isinstance(entry.value, dict):
        table.refuse(
            name,
            f"`{table.name_of(name)}` must be a column or a table, not {describe(entry.value)}",
            _INPUT_EXAMPLE,
            code="WRONG_TYPE",
        )
        return None
    inner = FieldReader(entry, table.name_of(name), table.problems)
    inner.refuse_unknown(_INPUT_KEYS)
    inner.require("column", f"write for example {name} (column ordered_at, roles [filter, watermark])")
    column, roles = inner.text("column"), inner.texts("roles")
    for role in roles or ():
        if role not in _ROLES:
            message = f"`{inner.name_of('roles')}` must be filter or watermark, not {describe(role)}"
            inner.refuse("roles", message, nearest(role, _ROLES))
    if column is None:
        return None
    if roles is None:
        roles = _ROLES
    return CursorInput(
        name=name, column=column, filters="filter" in roles, is_watermark="watermark" in roles, place=place
    )


def read_batch_limit(
    reader: FieldReader,
    key: str,
    actions: tuple[str, ...] = _ACTIONS,
    example: str = "microbatch_limit (max_batches 7, action error)",
) -> BatchLimit | None:
    """The table `key`: how many batches, and which of the `actions` is taken where there are more."""
    table = reader.table(key)
    if table is None:
        return None
    table.refuse_unknown(_LIMIT_KEYS)
    table.require("max_batches", f"write for example {example}")
    batches = table.whole_number("max_batches", minimum=1)
    action = table.text("action")
    if action is not None and action not in actions:
        listed = f"{', '.join(actions[:-1])} or {actions[-1]}"
        message = f"`{table.name_of('action')}` must be {listed}, not {describe(action)}"
        table.refuse("action", message, nearest(action, actions))
        return None
    if batches is None:
        return None
    return BatchLimit(batches=batches, action=action or "error")  # type: ignore[arg-type]


def _most_batches(reader: FieldReader, key: str) -> BatchLimit | None:
    """The older way to write a limit."""
    batches = reader.whole_number(key, minimum=1)
    return None if batches is None else BatchLimit(batches=batches)


def _refuse_unsupported(reader: FieldReader) -> None:
    if "microbatch_strategy" in reader.entries and reader.text("microbatch_strategy") == "rolling_window":
        reader.refuse(
            "microbatch_strategy",
            f"`{reader.name_of('microbatch_strategy')} rolling_window` is not supported",
            "write watermark; `lookback` builds the latest part again each time",
            code="UNSUPPORTED",
        )
    elif "microbatch_strategy" in reader.entries:
        _choice(("watermark",), str)(reader, "microbatch_strategy")
    concurrency = reader.whole_number("batch_concurrency", minimum=1)
    if concurrency is not None and concurrency > 1:
        reader.problems.append(
            reader.entries["batch_concurrency"].problem(
                "UNSUPPORTED",
                f"`{reader.name_of('batch_concurrency')}` is not supported: the batches of a model are built one after "
                "the other",
                "remove it; other models are built meanwhile",
                at_key=True,
                severity="warning",
            )
        )


_FIELDS: Mapping[str, tuple[str, Callable[[FieldReader, str], object] | None]] = {
    "append_cursor_inclusive": ("append_inclusive", _flag),
    "batch_size": ("batch_size", _text_or_number),
    "cursor": ("cursor", _text),
    "cursor_end": ("end", _text_or_number),
    "cursor_grain": ("grain", _choice(Grain, Grain)),
    "cursor_inputs": ("inputs", _inputs),
    "cursor_start": ("start", _text_or_number),
    "cursor_type": ("cursor_type", _choice(CursorType, CursorType)),
    "cursor_watermark_mode": ("any_watermark", _choice(("all", "any"), lambda word: word == "any")),
    "full_refresh": ("full_refresh", _flag),
    "incremental_mode": ("is_microbatch", _choice(("microbatch",), lambda _word: True)),
    "incremental_strategy": ("strategy", _choice(IncrementalStrategy, IncrementalStrategy)),
    "lookback": ("lookback", _text_or_number),
    "max_microbatches": ("batch_limit", _most_batches),
    "merge_exclude_columns": ("merge_exclude", _columns),
    "microbatch_limit": ("batch_limit", read_batch_limit),
    "on_schema_change": ("on_schema_change", _choice(OnSchemaChange, OnSchemaChange)),
    "replay_on_change": ("replay", _replay),
    "unique_key": ("unique_key", _columns),
}
"""Key -> field of `Incremental`, and what reads it. `microbatch_limit` comes after `max_microbatches`, and wins."""
