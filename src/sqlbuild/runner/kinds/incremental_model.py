"""Incremental models: a delta is staged, looked at, and applied in one transaction; or the whole table is built.

Growth.build
  _decided            what is built, kept for later attempts and for whoever resumes the run
    window              from the extents of the inputs and of the table
  _whole              staged, looked at, and put in the place of what is there
  _delta              staged, looked at, applied
  _in_batches         one of the two for each batch; what an earlier attempt has done is not done again
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import anyio

from sqlbuild.domain.cursor_windows import (
    Extent,
    Inputs,
    NoRows,
    Window,
    batch_size_of,
    batches_of,
    grain_of,
    read_value,
    value_text,
    window_of,
)
from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import Relation
from sqlbuild.domain.incremental import (
    BatchLimit,
    CursorType,
    CursorValue,
    Incremental,
    IncrementalBuild,
    IncrementalSql,
    IncrementalStrategy,
)
from sqlbuild.domain.nodes import Model
from sqlbuild.domain.record import record
from sqlbuild.errors import WarehouseError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.incremental import Applied, DeltaOrder, Deltas, Standing
from sqlbuild.interfaces.staging import Staging
from sqlbuild.interfaces.warehouse import BuildOrder, CommitMarker, Connection
from sqlbuild.runner.outcomes import Returned
from sqlbuild.runner.staging import rebuild_name, staging_name
from sqlbuild.sql.rendering import in_brackets, quote_relation
from sqlbuild.sql.window_sql import within_window

SCOPE = "incremental"
"""Of what is kept in the journal between attempts."""
_DECIDED = "decided"
BATCH = "batch "
"""Parts that begin so are not the end of what a node does."""
CLEAN_UP_SECONDS = 5.0


async def nobody_looks(_connection: Connection, _staged: Relation, _is_delta: bool) -> None:
    """No audits."""


async def goes_on() -> None:
    """Nobody else waits for the connection."""


@record(frozen=True, slots=True, kw_only=True)
class GrowthServices:
    """What the growth of a table works with."""

    deltas: Deltas
    staging: Staging
    run_id: str
    commits: Relation | None
    kept: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What earlier attempts have kept: key -> JSON text."""
    keep: Callable[[Sequence[tuple[str, str]]], None]
    """Returns when it is written. Raises EngineError."""
    look: Callable[[Connection, Relation, bool], Awaitable[None]] = nobody_looks
    """Awaited between staging and applying, with the staged relation and whether it is less than the whole table; what it
    raises keeps the rows out of the table."""
    give_way: Callable[[], Awaitable[None]] = goes_on
    """Awaited between batches."""
    progress: Callable[[int, int, str], None] = lambda _done, _all, _what: None


@record(frozen=True, slots=True, kw_only=True)
class Decided:
    """What is built. Without a `window` the query has no bounds; `nothing` says why there is nothing to do."""

    token: int
    """The attempt that has decided: parts of commits that belong to it end with it."""
    whole: bool
    rebuilds: bool = False
    """Batches go into a table beside the one that is there, until it can take its place."""
    window: Window | None = None
    zones: tuple[bool, ...] = ()
    nothing: str = ""
    empty_inputs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> str:
        facts: dict[str, Any] = {"token": self.token, "whole": self.whole, "rebuilds": self.rebuilds}
        if self.window is not None:
            bounds = (self.window.start, self.window.end, self.window.covers_from)
            facts |= {"window": [str(bound) for bound in bounds], "zones": list(self.zones)}
        return json.dumps(facts)

    @classmethod
    def from_json(cls, text: str, type_: CursorType | None) -> Decided:
        facts = json.loads(text)
        window = None
        if "window" in facts:
            assert type_ is not None
            start, end, covers_from = (read_value(bound, type_) for bound in facts["window"])
            window = Window(start=start, end=end, covers_from=covers_from)
        return cls(
            token=facts["token"],
            whole=facts["whole"],
            rebuilds=facts["rebuilds"],
            window=window,
            zones=tuple(facts.get("zones", ())),
        )


class Growth:
    """One attempt at one incremental model."""

    def __init__(
        self, node: Node, build: IncrementalBuild, services: GrowthServices, attempt: int, how: BuildOrder
    ) -> None:
        model = node.declaration
        assert isinstance(model, Model)
        assert model.incremental is not None
        assert node.relation is not None
        assert node.incremental_sql is not None
        self._node = node
        self._model: Incremental = model.incremental
        self._relation: Relation = node.relation
        self._query: IncrementalSql = node.incremental_sql
        self._build = build
        self._services = services
        self._attempt = attempt
        self._how = how
        self._deltas = services.deltas
        self._has_more_to_do = bool(model.post_hooks)
        self._done: frozenset[str] = frozenset()
        self._applied: list[Applied] = []
        self.sql = node.sql or ""
        """What ran last, for the place of an error."""

    async def build(self, connection: Connection) -> Returned:
        """Raises WarehouseError."""
        decided = await self._decided(connection)
        if decided.nothing and not decided.whole:
            return self._returned(decided, 0)
        if self._model.is_microbatch and not decided.nothing:
            batches = await self._in_batches(connection, decided)
            return self._returned(decided, sum(each.rows for each in self._applied), batches=batches)
        part = self._part(decided)
        if part not in self._done:
            step = self._whole if decided.whole else self._delta
            self._applied.append(await step(connection, decided, decided.window, part, self._relation))
        return self._returned(decided, sum(each.rows for each in self._applied))

    def _part(self, decided: Decided) -> str:
        """Of the commit with which all is done. Where hooks come behind it, it is not the end of what the node does."""
        what = "table" if decided.whole else "delta"
        return f"{BATCH if self._has_more_to_do else ''}{what} {decided.token}"

    # -- deciding ---------------------------------------------------------------------------------------------------

    async def _decided(self, connection: Connection) -> Decided:
        standing = await self._deltas.standing(connection, self._relation)
        before = self._services.kept.get(_DECIDED)
        if before is not None:
            decided = Decided.from_json(before, self._model.cursor_type)
            is_whole = await self._holds(connection, decided, standing)
            if is_whole and (self._model.is_microbatch or self._was_applied(decided)):
                return decided
        self._done = frozenset()
        decided = await decide(self._node, self._build, self._deltas, connection, standing, self._attempt)
        if decided.nothing and decided.whole and standing is Standing.TABLE:
            raise WarehouseError(
                f"{self._node.name} would be built anew of nothing: {decided.nothing}",
                help="what is there was left as it is; load the inputs first, or give --start-cursor and --end-cursor",
            )
        if not decided.nothing:
            self._services.keep([(_DECIDED, decided.to_json())])
        return decided

    async def _holds(self, connection: Connection, decided: Decided, standing: Standing) -> bool:
        """Whether what an earlier attempt has decided is still what has to be done; finds what of it is done."""
        marker = self._marker("")
        if marker is not None:
            self._done = _of(decided.token, await self._deltas.parts_of(connection, marker))
        self._done |= _of(decided.token, (key for key in self._services.kept if key.startswith(BATCH)))
        if self._part(decided) in self._done or not self._done:
            return True
        there = standing
        if decided.rebuilds:
            there = await self._deltas.standing(connection, self._beside())
        # What was built so far may have been removed meanwhile.
        return there is Standing.TABLE

    def _was_applied(self, decided: Decided) -> bool:
        """Without batches the window is decided anew by each attempt, but for what has taken effect."""
        return self._part(decided) in self._done

    # -- building ---------------------------------------------------------------------------------------------------

    async def _whole(
        self, connection: Connection, decided: Decided, window: Window | None, part: str, _into: Relation
    ) -> Applied:
        """All of the table, from what the window has."""
        order = self._order(window)
        self.sql = self._sql(decided, window)
        if decided.nothing:
            self.sql = f'SELECT * FROM {in_brackets(self._sql(decided, window))} AS "_" WHERE false'
        async with self._staged(connection, order):
            await self._services.staging.stage_table(connection, order.staging, self.sql, order=self._how)
            rows = await self._deltas.check(connection, order)
            await self._services.look(connection, order.staging, False)
            await self._services.staging.promote_table(
                connection, order.staging, self._relation, commit=self._marker(part), order=self._how
            )
        return Applied(rows=rows)

    async def _delta(
        self, connection: Connection, decided: Decided, window: Window | None, part: str, into: Relation
    ) -> Applied:
        order = self._order(window, into)
        self.sql = self._sql(decided, window)
        async with self._staged(connection, order):
            await self._deltas.stage(connection, order, self.sql)
            rows = await self._deltas.check(connection, order)
            await self._services.look(connection, order.staging, True)
            return await self._deltas.apply(connection, order, rows, self._marker(part))

    @contextlib.asynccontextmanager
    async def _staged(self, connection: Connection, order: DeltaOrder) -> AsyncIterator[None]:
        """What is left in the staging table after an error is removed."""
        try:
            yield
        except BaseException:
            with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True), contextlib.suppress(WarehouseError):
                await self._deltas.discard(connection, order)
            raise

    def _order(self, window: Window | None, into: Relation | None = None) -> DeltaOrder:
        model = self._model
        assert model.strategy is not None
        replays = self._build.replay.span is not None or self._build.start is not None
        replaces = model.strategy is IncrementalStrategy.DELETE_INSERT or (
            replays and model.strategy is IncrementalStrategy.APPEND
        )
        return DeltaOrder(
            relation=into or self._relation,
            staging=dataclasses.replace(self._relation, name=staging_name(self._services.run_id, self._relation.name)),
            strategy=model.strategy,
            unique_key=model.unique_key,
            cursor=model.cursor,
            window=window,
            replaces_window=replaces and window is not None,
            merge_exclude=model.merge_exclude,
            on_schema_change=model.on_schema_change,
            how=self._how,
        )

    def _sql(self, decided: Decided, window: Window | None) -> str:
        if decided.nothing:
            assert self._model.cursor_type is not None
            value = read_value(
                "0" if self._model.cursor_type is CursorType.INTEGER else "1970-01-01", self._model.cursor_type
            )
            window = Window(start=value, end=value, covers_from=value)
        return within_window(self._query, window, decided.zones or [False] * len(self._query.inputs))

    def _marker(self, part: str) -> CommitMarker | None:
        commits = self._services.commits
        if commits is None:
            return None
        return CommitMarker(
            relation=commits, run_id=self._services.run_id, node=self._node.id, part=part, attempt=self._attempt
        )

    def _beside(self) -> Relation:
        name = rebuild_name(self._services.run_id, self._relation.name)
        return dataclasses.replace(self._relation, name=name)

    # -- batches ----------------------------------------------------------------------------------------------------

    async def _in_batches(self, connection: Connection, decided: Decided) -> int:
        """How many batches there were."""
        assert decided.window is not None
        final = self._part(decided)
        if final in self._done:
            return 0
        batches = plan_batches(self._model, decided.window, self._query)[0]
        into = self._beside() if decided.rebuilds else self._relation
        is_there = not decided.whole or bool(self._done)
        for number, batch in enumerate(batches):
            part = f"{BATCH}{batch} {decided.token}"
            if part in self._done:
                continue
            self._services.progress(number, len(batches), str(batch))
            if is_there:
                applied = await self._delta(connection, decided, batch, part, into)
            elif decided.rebuilds:
                applied = await self._begin_beside(connection, decided, batch, into)
            else:
                applied = await self._whole(connection, decided, batch, part, into)
            is_there = True
            self._applied.append(applied)
            self._services.keep([(part, json.dumps({"rows": applied.rows}))])
            failpoint("batch.kept")
            self._services.progress(number + 1, len(batches), str(batch))
            if number + 1 < len(batches):
                await self._services.give_way()
        if decided.rebuilds:
            await self._services.staging.promote_table(
                connection, into, self._relation, commit=self._marker(final), order=self._how
            )
        return len(batches)

    async def _begin_beside(self, connection: Connection, decided: Decided, batch: Window, into: Relation) -> Applied:
        """The first batch makes the table; it needs no marker, as it can be made again."""
        order = dataclasses.replace(self._order(batch), staging=into)
        self.sql = self._sql(decided, batch)
        async with self._staged(connection, order):
            await self._services.staging.stage_table(connection, into, self.sql, order=self._how)
            rows = await self._deltas.check(connection, order)
            await self._services.look(connection, into, True)
        return Applied(rows=rows)

    # -- telling ----------------------------------------------------------------------------------------------------

    def _returned(self, decided: Decided, rows: int, batches: int | None = None) -> Returned:
        model = self._model
        facts: dict[str, Any] = {"incremental": "full" if decided.whole else str(model.strategy), "rows": rows}
        if decided.window is not None and not decided.nothing:
            facts["window"] = {"start": value_text(decided.window.start), "end": value_text(decided.window.end)}
        if batches is not None:
            facts["batches"] = batches
        if decided.nothing:
            facts["nothing"] = decided.nothing
        if decided.empty_inputs:
            facts["empty_cursor_inputs"] = list(decided.empty_inputs)
        for key in ("added_columns", "dropped_columns", "changed_columns"):
            names = list(dict.fromkeys(name for each in self._applied for name in getattr(each, key)))
            facts |= {key: names} if names else {}
        notes = dict.fromkeys(note for each in self._applied for note in each.notes)
        return Returned(metadata=json.dumps(facts), warnings=(*decided.warnings, *notes))


def _of(token: int, parts: Iterable[str]) -> frozenset[str]:
    return frozenset(part for part in parts if part.endswith(f" {token}"))


async def decide(
    node: Node,
    build: IncrementalBuild,
    deltas: Deltas,
    connection: Connection,
    standing: Standing,
    token: int = 1,
) -> Decided:
    """What one build would do now. Reads and changes nothing. Raises WarehouseError."""
    model = node.declaration
    assert isinstance(model, Model)
    assert node.relation is not None
    grows, query = model.incremental, node.incremental_sql
    assert grows is not None
    assert query is not None
    whole = build.full or standing is not Standing.TABLE
    rebuilds = whole and grows.is_microbatch and standing is Standing.TABLE
    if grows.cursor is None:
        return Decided(token=token, whole=whole)
    assert grows.cursor_type is not None
    extents = [
        await _extent(deltas, connection, node, each.sql, each.column, grows.cursor_type, each.name)
        for each in query.inputs
    ]
    target = None
    if not whole:
        target = await _extent(
            deltas, connection, node, quote_relation(node.relation), grows.cursor, grows.cursor_type, str(node.relation)
        )
    inputs = inputs_of(query, extents)
    found = window_of(grows, inputs, build, target)
    zones = tuple(extent.has_zone for extent in extents)
    if isinstance(found, NoRows):
        names = [f"{query.inputs[place].name}.{query.inputs[place].column}" for place in found.empty]
        listed = ", ".join(names)
        waits = (f"waiting on empty input {listed}; other inputs have new rows",) if found.partly else ()
        return Decided(
            token=token,
            whole=whole,
            nothing=f"no input rows ({listed})",
            empty_inputs=tuple(names),
            warnings=waits,
            zones=zones,
        )
    if found.is_empty:
        return Decided(token=token, whole=whole, window=found, nothing="nothing new", zones=zones)
    warnings: tuple[str, ...] = ()
    if grows.is_microbatch:
        for limit in (build.batch_limit,) if build.batch_limit is not None else (grows.outer_limit, grows.batch_limit):
            found, told = _limited(grows, limit, found, query, rebuilds=rebuilds)
            warnings += told
    return Decided(token=token, whole=whole, rebuilds=rebuilds, window=found, zones=zones, warnings=warnings)


async def _extent(
    deltas: Deltas, connection: Connection, node: Node, sql: str, column: str, type_: CursorType, shown: str
) -> Extent:
    try:
        return await deltas.extent(connection, sql, column, type_)
    except WarehouseError as error:
        if error.transient:
            raise
        raise WarehouseError(
            f"{node.name}: the cursor of {shown} ({column}, cursor_type {type_}) cannot be read: {error.args[0]}",
            help=error.help or "correct `cursor`, `cursor_type` or `cursor_inputs` in the header",
        ) from error


def inputs_of(query: IncrementalSql, extents: Sequence[Extent]) -> Inputs:
    return Inputs(
        extents=extents,
        watermarks=[place for place, each in enumerate(query.inputs) if each.is_watermark],
        grains=[each.grain for each in query.inputs],
    )


def plan_batches(grows: Incremental, window: Window, query: IncrementalSql) -> tuple[list[Window], str]:
    """The batches of a window, and the size of one in words. Raises WarehouseError for too many."""
    grain = grain_of(grows, inputs_of(query, ()))
    size = batch_size_of(grows, grain)
    try:
        return batches_of(window, size, grain), str(size)
    except ValueError as error:
        raise WarehouseError(str(error), help="set a larger `batch_size`, or a later `cursor_start`") from error


def _limited(
    grows: Incremental, limit: BatchLimit | None, window: Window, query: IncrementalSql, *, rebuilds: bool
) -> tuple[Window, tuple[str, ...]]:
    """The part of a window that one build may do, and what is to be said of it.

    Raises WarehouseError where it may do none of it: also where a table would take the place of one that has more.
    """
    if limit is None:
        return window, ()
    batches, size = plan_batches(grows, window, query)
    if len(batches) <= limit.batches:
        return window, ()
    text = f"{len(batches):,} batches of {size} are due, and the limit is {limit.batches:,}"
    if rebuilds and limit.action in ("cap_from_start", "cap_from_end"):
        raise WarehouseError(
            f"{text}: only a part of the table would be built anew, and the rest of it lost",
            help=f"build all of it with --max-microbatches {len(batches)}, or a part with --start-cursor and --end-cursor",
        )
    match limit.action:
        case "error":
            raise WarehouseError(text, help="set a higher limit, or build a part with --start-cursor and --end-cursor")
        case "warn":
            return window, (text,)
        case "cap_from_start":
            capped = dataclasses.replace(window, end=batches[limit.batches - 1].end)
            return capped, (f"{text}: the first {limit.batches:,} are built, up to {value_text(capped.end)}",)
        case "cap_from_end":
            first = batches[-limit.batches]
            capped = dataclasses.replace(window, start=first.start, covers_from=first.covers_from)
            rest = f"--start-cursor {_as_option(window.start)} --end-cursor {_as_option(capped.start)}"
            return capped, (f"{text}: the last {limit.batches:,} are built; the ones before with {rest}",)


def _as_option(value: CursorValue) -> str:
    return value_text(value).replace(" ", "T")
