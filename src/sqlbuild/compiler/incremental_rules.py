"""What must hold for incremental models: keys that need each other, columns and inputs that are there, right types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sqlbuild.compiler.incremental_inputs import read_relations
from sqlbuild.compiler.nearest_name import NearestName
from sqlbuild.compiler.node_columns import NodeColumns
from sqlbuild.domain.columns import Column
from sqlbuild.domain.cursor_windows import read_step, read_value
from sqlbuild.domain.ids import NodeId, Place, node_id
from sqlbuild.domain.incremental import CursorType, Incremental, IncrementalStrategy
from sqlbuild.domain.nodes import Declaration, Model
from sqlbuild.errors import Problem

_WHOLE_NUMBERS = ("TINYINT", "SMALLINT", "INT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER",
                  "UBIGINT", "UHUGEINT", "DECIMAL", "NUMERIC")  # fmt: skip
_NEEDS_CURSOR = {
    "grain": "cursor_grain",
    "cursor_type": "cursor_type",
    "start": "cursor_start",
    "end": "cursor_end",
    "inputs": "cursor_inputs",
    "lookback": "lookback",
}


def incremental_problems(
    nodes: Mapping[NodeId, Declaration], columns: Mapping[NodeId, NodeColumns]
) -> Iterator[Problem]:
    for node, model in nodes.items():
        if not isinstance(model, Model):
            continue
        if model.incremental is None:
            yield from _calls_without_window(model)
            continue
        checks = _Checks(model, model.incremental)
        yield from checks.keys()
        yield from checks.values()
        yield from checks.inputs(columns)
        yield from checks.columns(columns.get(node))
        if model.incremental.cursor is None:
            yield from _calls_without_window(model)


def _calls_without_window(model: Model) -> Iterator[Problem]:
    for call in model.cursor_calls:
        yield _problem(
            "INCREMENTAL",
            f"{model.name} calls __cursor_{call.bound}(), but it has no cursor",
            "write `materialized incremental` with `cursor` and `cursor_type`, or remove the call",
            call.place,
        )


class _Checks:
    """Of one model."""

    def __init__(self, model: Model, grows: Incremental) -> None:
        self._model = model
        self._grows = grows
        self._name = model.name

    def _at(self, key: str) -> Place:
        return self._grows.places.get(key, self._model.place)

    def _wrong(self, key: str, message: str, help: str, code: str = "INCREMENTAL") -> Problem:
        return _problem(code, f"{self._name}: {message}", help, self._at(key))

    def keys(self) -> Iterator[Problem]:
        grows = self._grows
        strategy = grows.strategy
        if strategy is None:
            help = "write incremental_strategy append, delete_insert or merge"
            yield self._wrong("materialized", "an incremental model needs `incremental_strategy`", help)
        if strategy is IncrementalStrategy.MERGE and not grows.unique_key:
            help = "name the columns that tell one row from another: unique_key [order_id]"
            yield self._wrong("incremental_strategy", "merge needs `unique_key`", help)
        if strategy is IncrementalStrategy.DELETE_INSERT and not grows.unique_key and grows.cursor is None:
            help = "add one of them: they tell which rows are replaced"
            yield self._wrong("incremental_strategy", "delete_insert needs `cursor` or `unique_key`", help)
        if strategy is not IncrementalStrategy.MERGE and grows.merge_exclude:
            help = "remove it, or write incremental_strategy merge"
            yield self._wrong("merge_exclude_columns", "`merge_exclude_columns` is for merge only", help)
        yield from self._keys_of_cursor()
        if grows.is_microbatch:
            yield from self._keys_of_microbatch()
        elif grows.batch_size is not None or grows.batch_limit is not None:
            for key in ("batch_size", "microbatch_limit", "max_microbatches"):
                if key in grows.places:
                    help = "add `incremental_mode microbatch`, or remove it"
                    yield self._wrong(key, f"`{key}` is for microbatches only", help)

    def _keys_of_cursor(self) -> Iterator[Problem]:
        grows = self._grows
        if grows.cursor is None:
            for field, key in _NEEDS_CURSOR.items():
                # A default for many models is no mistake of this one.
                if getattr(grows, field) is not None and key in grows.places:
                    yield self._wrong(key, f"`{key}` needs `cursor`", f"add `cursor <column>`, or remove `{key}`")
            if grows.replay.span is not None and "replay_on_change" in grows.places:
                help = "add a cursor, or write replay_on_change forward or full"
                yield self._wrong("replay_on_change", f"`replay_on_change {grows.replay}` needs `cursor`", help)
        elif grows.cursor_type is None:
            yield self._wrong("cursor", "`cursor` needs `cursor_type`", "add cursor_type timestamp, or integer")
        elif grows.cursor_type is CursorType.INTEGER and grows.grain is not None:
            yield self._wrong("cursor_grain", "`cursor_grain` is for timestamps only", "remove it")
        if grows.strategy is IncrementalStrategy.APPEND and grows.lookback is not None and grows.cursor is not None:
            yield Problem(
                code="INCREMENTAL",
                message=f"{self._name}: `lookback` with append adds the rows that it goes back over once more",
                help="write incremental_strategy delete_insert, which replaces them",
                path=self._at("lookback").path,
                line=self._at("lookback").line,
                column=self._at("lookback").column,
                severity="warning",
            )

    def _keys_of_microbatch(self) -> Iterator[Problem]:
        if self._grows.cursor is None:
            help = "add `cursor` and `cursor_type`: batches are ranges of the cursor"
            yield self._wrong("incremental_mode", "microbatches need `cursor`", help)
        if self._grows.batch_size is None:
            help = "add for example batch_size 1d, or a number for an integer cursor"
            yield self._wrong("incremental_mode", "microbatches need `batch_size`", help)

    def values(self) -> Iterator[Problem]:
        """What only the type of the cursor makes right or wrong."""
        grows, type_ = self._grows, self._grows.cursor_type
        if type_ is None:
            return
        checks: list[tuple[str, str | int | None, Callable[[str | int, CursorType], object]]] = [
            ("cursor_start", grows.start, read_value),
            ("cursor_end", grows.end, read_value),
            ("lookback", grows.lookback, read_step),
            ("batch_size", grows.batch_size, read_step),
        ]
        for key, written, read in checks:
            if written is not None:
                try:
                    read(written, type_)
                except ValueError as error:
                    help = "a whole number" if type_ is CursorType.INTEGER else "a date, or a time such as 1d"
                    yield self._wrong(key, f"`{key}`: {error}", f"write {help}", "BAD_VALUE")

    def inputs(self, columns: Mapping[NodeId, NodeColumns]) -> Iterator[Problem]:
        grows = self._grows
        if grows.cursor is None:
            return
        read = {reference.name: reference for reference in read_relations(self._model)}
        if not read:
            message = "reads no inputs, so that no build but the first could tell how far to go"
            help = "read its data with __ref(), __source() or __seed(), or write `materialized table`"
            yield self._wrong("cursor", message, help)
        elif grows.inputs is None:
            yield from self._only_input(read, columns)
        else:
            nearest = NearestName(read)
            for each in grows.inputs:
                place = each.place or self._at("cursor_inputs")
                reference = read.get(each.name)
                if reference is None:
                    message = f"{self._name}: `cursor_inputs` names {each.name}, which the query does not read"
                    help = nearest.help(each.name, f"the query reads {', '.join(read)}")
                    yield _problem("CURSOR_INPUT", message, help, place)
                    continue
                known = columns.get(node_id(reference.kind, reference.name))
                yield from self._column(known, each.column, f"{each.name}", "cursor_inputs", place)
            if not any(each.is_watermark for each in grows.inputs):
                help = "give one of them the role: roles [filter, watermark]"
                yield self._wrong("cursor_inputs", "none of the `cursor_inputs` is a watermark", help, "CURSOR_INPUT")

    def _only_input(self, read: Mapping[str, object], columns: Mapping[NodeId, NodeColumns]) -> Iterator[Problem]:
        assert self._grows.cursor is not None
        if len(read) > 1:
            message = f"it reads {', '.join(read)}: `cursor_inputs` must say which of them has which cursor column"
            help = f"write for example cursor_inputs ({next(iter(read))} {self._grows.cursor})"
            yield self._wrong("cursor", message, help, "CURSOR_INPUT")
            return
        reference = next(iter(read_relations(self._model)))
        known = columns.get(node_id(reference.kind, reference.name))
        missing = next(self._column(known, self._grows.cursor, reference.name, "cursor", self._at("cursor")), None)
        if missing is not None:
            message = f"{self._name}: {reference.name} has no column {self._grows.cursor}"
            help = f"say which of its columns is the cursor: cursor_inputs ({reference.name} <column>)"
            if missing.code == "UNKNOWN_COLUMN":
                yield _problem("CURSOR_INPUT", message, help, self._at("cursor"))
            else:
                yield missing

    def columns(self, known: NodeColumns | None) -> Iterator[Problem]:
        """Of the model itself."""
        grows = self._grows
        named = [("cursor", grows.cursor)] if grows.cursor is not None else []
        named += [("unique_key", name) for name in grows.unique_key]
        named += [("merge_exclude_columns", name) for name in grows.merge_exclude]
        for key, name in named:
            yield from self._column(known, name, "the query", key, self._at(key), is_cursor=key == "cursor")

    def _column(
        self,
        known: NodeColumns | None,
        name: str,
        owner: str,
        key: str,
        place: Place,
        *,
        is_cursor: bool = True,
    ) -> Iterator[Problem]:
        """Whether a column surely is not there, or surely is of another type than the cursor."""
        if known is None or known.columns is None:
            return
        column = next((each for each in known.columns if each.name.lower() == name.lower()), None)
        if column is None:
            if known.complete:
                nearest = NearestName(each.name for each in known.columns)
                given = ", ".join(each.name for each in known.columns[:8])
                message = f"{self._name}: `{key}` names the column {name}, which {owner} does not have"
                yield _problem("UNKNOWN_COLUMN", message, nearest.help(name, f"its columns are {given}"), place)
            return
        if is_cursor and self._grows.cursor_type is not None and not _fits(column, self._grows.cursor_type):
            message = (
                f"{self._name}: the column {name} of {owner} is {column.type}, and the cursor is "
                f"{_KINDS[self._grows.cursor_type]}"
            )
            help = "name another column, cast it in the query, or change `cursor_type`"
            yield _problem("INCREMENTAL", message, help, place)


_KINDS = {CursorType.TIMESTAMP: "a date or time", CursorType.INTEGER: "a whole number"}


def _fits(column: Column, type_: CursorType) -> bool:
    if column.type is None:
        return True
    written = column.type.upper()
    if type_ is CursorType.TIMESTAMP:
        return written.startswith(("DATE", "TIMESTAMP"))
    name = written.partition("(")[0].strip()
    return name in _WHOLE_NUMBERS or name.startswith(("INT", "SERIAL", "BIGSERIAL", "LONG"))


def _problem(code: str, message: str, help: str, place: Place) -> Problem:
    return Problem(code=code, message=message, help=help, path=place.path, line=place.line, column=place.column)
