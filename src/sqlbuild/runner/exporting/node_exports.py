"""`ctx.export` of one attempt: the rows of a query, which the warehouse writes, and Arrow data, which pyarrow writes.

NodeExports.copy                a query: described, checked, copied into a working file
NodeExports.begin, write, finish    batches; formats that pyarrow has not are written to Parquet first, and copied
_publish                        the fence: an attempt that has ended gives nothing its name any more
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import secrets
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from sqlbuild.domain.columns import Column
from sqlbuild.domain.exports import ExportFormat, ExportResult
from sqlbuild.domain.graph import Node
from sqlbuild.domain.nodes import Asset
from sqlbuild.domain.record import record
from sqlbuild.errors import ExportError, NodeError, WarehouseError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.exporting import Copied, Copying, CopyOrder, CursorRange, ExportOrder, ParquetRows
from sqlbuild.interfaces.state_store import StateStore
from sqlbuild.interfaces.warehouse import Connection
from sqlbuild.refs import Reference
from sqlbuild.runner.exporting.batch_export import BatchExport
from sqlbuild.runner.exporting.claimed_paths import ClaimedPaths
from sqlbuild.runner.exporting.declared_columns import differences, unique_columns
from sqlbuild.runner.exporting.outputs import Output, make_output
from sqlbuild.runner.exporting.partitions import Manifest, PartitionedOrder, PartitionedOutput
from sqlbuild.runner.exporting.paths import ExportPlaces, Place, format_of, resolve_place
from sqlbuild.runner.exporting.record import ExportRecord
from sqlbuild.runner.exporting.working_files import FileFacts, WorkingName, step

T = TypeVar("T")

BATCH_ROWS = 65_536
DISCARD_SECONDS = 10.0
_ARROW_DIALECT = "duckdb"
"""In which the types of Arrow data are named."""


@record(frozen=True, slots=True, kw_only=True)
class ExportServices:
    """What the exports of all nodes of a run share."""

    places: ExportPlaces
    copying: Copying
    store: StateStore
    run_id: str
    dry_run: bool = False
    claimed: ClaimedPaths = dataclasses.field(default_factory=ClaimedPaths)
    token: str = dataclasses.field(default_factory=functools.partial(secrets.token_hex, 3))


class Surroundings(Protocol):
    """What exports need of the attempt that they are part of."""

    @property
    def over(self) -> bool: ...

    def relation(self, reference: Reference) -> str: ...

    def log(self, message: str, level: str, fields: dict[str, object]) -> None: ...


@record(frozen=True, slots=True, kw_only=True)
class _Target:
    """Where one export goes, and how."""

    order: ExportOrder
    place: Place
    format: ExportFormat
    name: WorkingName

    @property
    def shown(self) -> str:
        return self.place.shown


class NodeExports:
    """`sqlbuild.interfaces.exporting.ExportSession`. `hold` gives the node's connection, `release` ends its use."""

    def __init__(
        self,
        services: ExportServices,
        node: Node,
        attempt: int,
        surroundings: Surroundings,
        *,
        hold: Callable[[], Awaitable[Connection]],
        release: Callable[[], Awaitable[None]],
    ) -> None:
        self._services = services
        self._node = node
        self._attempt = attempt
        self._surroundings = surroundings
        self._hold = hold
        self._release = release
        self._numbers = itertools.count(1)
        self._open: dict[int, tuple[_Target, BatchExport]] = {}
        self._giving_up: list[threading.Thread] = []
        self.record = ExportRecord()

    # -- a query ----------------------------------------------------------------------------------------------------

    async def copy(self, what: Reference | str, order: ExportOrder) -> ExportResult:
        target = self._target(order)
        is_reference = isinstance(what, Reference)
        query = f"SELECT * FROM {self._surroundings.relation(what)}" if isinstance(what, Reference) else what
        if self._services.dry_run:
            return await self._would_copy(target, query, repr(what) if is_reference else "the rows of a query")
        return await self._copy(target, query)

    async def _copy(self, target: _Target, rows: str | ParquetRows) -> ExportResult:
        """A query or a file is described, and what it gives is written, over one connection."""
        async with self._connection() as held:
            columns = await self._columns_of(held.connection, target, rows)
            cursor = None
            if isinstance(rows, str):
                cursor = await self._cursor_range(held.connection, target, rows, columns)
            if target.order.partition_by:
                result = await self._copy_partitioned(held, target, rows, columns, cursor)
            elif target.format is ExportFormat.ARROW and isinstance(rows, str):
                result = await self._copy_batches(held, target, rows, columns, cursor)
            else:
                result = await self._copy_file(held, target, rows, columns, cursor)
        if cursor is not None and (last := cursor.upto or cursor.after) is not None:
            self.record.keep_cursor(self._cursor_key(target), last)
        return result

    async def _columns_of(self, connection: Connection, target: _Target, rows: str | ParquetRows) -> dict[str, str]:
        copying = self._services.copying
        described = await copying.describe(connection, rows)
        self._check_columns(target, described, copying.dialect if isinstance(rows, str) else _ARROW_DIALECT)
        return dict(described)

    async def _copy_file(
        self,
        held: _Held,
        target: _Target,
        rows: str | ParquetRows,
        columns: dict[str, str],
        cursor: CursorRange | None,
    ) -> ExportResult:
        output = make_output(target.place, self._services.places, target.name)
        try:
            await _in_thread(output.prepare)
            await _in_thread(_writing, target.shown)
            copied = await self._copy_to(held, target, rows, output.working_path, cursor)
            await held.give_back()
            facts = await _in_thread(output.complete)
            return await self._publish(target, output, facts, copied.rows, columns)
        except BaseException:
            await _to_its_end(output.discard)
            raise

    async def _copy_partitioned(
        self,
        held: _Held,
        target: _Target,
        rows: str | ParquetRows,
        columns: dict[str, str],
        cursor: CursorRange | None,
    ) -> ExportResult:
        order = PartitionedOrder(
            format=target.format,
            partition_by=_partition_columns(target, columns),
            columns=columns,
            node=self._node.id,
        )
        output = PartitionedOutput(target.place, self._services.places, target.name, order)
        try:
            await _in_thread(output.prepare)
            await _in_thread(_writing, target.shown)
            copied = await self._copy_to(
                held, target, rows, output.working_path, cursor, partition_by=order.partition_by
            )
            await held.give_back()
            manifest: Manifest = await _in_thread(output.make_manifest, copied)
            await _in_thread(output.send)
            facts = FileFacts(bytes=manifest.bytes, sha256=manifest.sha256)
            return await self._publish(target, output, facts, manifest.rows, columns)
        except BaseException:
            await _to_its_end(output.discard)
            raise

    async def _copy_to(
        self,
        held: _Held,
        target: _Target,
        rows: str | ParquetRows,
        path: str,
        cursor: CursorRange | None,
        *,
        partition_by: tuple[str, ...] = (),
    ) -> Copied:
        order = CopyOrder(rows=rows, path=path, format=target.format, partition_by=partition_by, cursor=cursor)
        try:
            return await self._services.copying.copy_to_file(held.connection, order)
        except WarehouseError as error:
            if path not in str(error.args[0]) and "IO Error" not in str(error.args[0]):
                raise
            message = str(error.args[0]).replace(path, target.shown)
            raise ExportError(
                f"{target.shown} could not be written (copying): {message}",
                help=error.help or "free space or make the folder writable; what was there before is as it was",
            ) from error

    async def _copy_batches(
        self, held: _Held, target: _Target, query: str, columns: dict[str, str], cursor: CursorRange | None
    ) -> ExportResult:
        sql = self._services.copying.query_of(query, cursor)
        export = self._batch_export(target)
        result = await held.connection.query(sql, arrow=True)
        try:
            while (batch := await result.fetch_batch(BATCH_ROWS)) is not None:
                await _in_thread(export.write, batch)
            await result.close()
            await held.give_back()
            facts = await _in_thread(export.complete)
            return await self._publish(target, export.output, facts, export.rows, columns)
        except BaseException:
            await _to_its_end(export.discard)
            if not result.closed:
                await result.close()
            raise

    # -- batches ----------------------------------------------------------------------------------------------------

    async def begin(self, order: ExportOrder) -> int:
        target = self._target(order)
        self._open[target.name.number] = (target, self._batch_export(target))
        return target.name.number

    def _batch_export(self, target: _Target) -> BatchExport:
        return BatchExport(
            target.place,
            target.format,
            self._services.places,
            target.name,
            spooled=bool(target.order.partition_by) or target.format not in (ExportFormat.PARQUET, ExportFormat.ARROW),
            dry_run=self._services.dry_run,
        )

    async def write(self, export: int, batch: Any) -> None:
        target, written = self._get(export)
        if written.columns is None:
            written.columns = await _in_thread(BatchExport.columns_of, batch)
            self._check_columns(target, written.columns, _ARROW_DIALECT)
        await _in_thread(written.write, batch)

    async def finish(self, export: int) -> ExportResult:
        target, written = self._get(export)
        if written.columns is None:
            raise ExportError(
                f"{target.shown}: there was no record batch, so nobody knows its columns",
                help="give at least one batch; it may have no rows",
            )
        try:
            if self._services.dry_run:
                self._say(target, f"{written.rows} {'row' if written.rows == 1 else 'rows'} of Arrow data")
                return _not_written(target, dict(written.columns))
            facts = await _in_thread(written.complete)
            if not written.spooled:
                return await self._publish(target, written.output, facts, written.rows, dict(written.columns))
            return await self._copy(target, ParquetRows(path=written.output.working_path))
        finally:
            self.discard(export)

    def _get(self, export: int) -> tuple[_Target, BatchExport]:
        self._refuse_late()
        if export not in self._open:
            raise NodeError("this export has ended")
        return self._open[export]

    def discard(self, export: int) -> None:
        _, written = self._open.pop(export, (None, None))
        if written is None:
            return
        if written.output.discards_at_once:
            written.discard()
            return
        # A store has to be asked, and nobody here may wait for it.
        giving_up = threading.Thread(target=written.discard, name="sqlbuild-discard", daemon=True)
        self._giving_up.append(giving_up)
        giving_up.start()

    @property
    def must_be_closed(self) -> bool:
        return bool(self._open or self._giving_up)

    async def close(self) -> None:
        """What was begun and not finished is discarded; gives up waiting after a while."""
        for export in tuple(self._open):
            self.discard(export)
        for thread in self._giving_up:
            await _to_its_end(functools.partial(thread.join, DISCARD_SECONDS))
        self._giving_up.clear()

    # -- before -----------------------------------------------------------------------------------------------------

    def _target(self, order: ExportOrder) -> _Target:
        self._refuse_late()
        place = resolve_place(order.path, self._services.places)
        found = order.format or format_of(order.path)
        if found is None and order.partition_by:
            found = ExportFormat.PARQUET
        if found is None:
            raise ExportError(
                f"the suffix of {order.path} does not tell its format",
                help=f"end it with one of {', '.join(f'.{each}' for each in ExportFormat)}, or give format=...",
            )
        if order.partition_by and found is ExportFormat.ARROW:
            raise ExportError("partition_by does not write Arrow files", help="use parquet, csv, csv.gz, json or jsonl")
        self._services.claimed.claim(place, self._node.id, is_folder=bool(order.partition_by))
        name = WorkingName(
            run_id=self._services.run_id,
            node=self._node.name,
            attempt=self._attempt,
            number=next(self._numbers),
            token=self._services.token,
        )
        return _Target(order=order, place=place, format=found, name=name)

    def _check_columns(self, target: _Target, found: Sequence[tuple[str, str]], dialect: str) -> None:
        unique_columns(found, target.shown)
        declared = _declared_columns(self._node)
        if not declared:
            if target.order.check_columns:
                raise ExportError(
                    f"{self._node.name} declares no columns, so check_columns has nothing to check",
                    help="declare columns=[...] on the asset, or leave check_columns out",
                )
            return
        told = differences(declared, found, dialect)
        if not told:
            return
        text = f"{target.shown} does not have the columns that {self._node.name} declares: {told}"
        if target.order.check_columns:
            raise ExportError(text, help="correct the query, or columns=[...] of the asset")
        self.record.warn(told, text)

    async def _cursor_range(
        self, connection: Connection, target: _Target, query: str, columns: dict[str, str]
    ) -> CursorRange | None:
        if target.order.cursor is None:
            return None
        wanted = target.order.cursor.lower()
        name = next((column for column in columns if column.lower() == wanted), None)
        if name is None:
            raise ExportError(
                f"{target.shown}: there is no column {target.order.cursor} to export by",
                help=f"the columns are {', '.join(columns)}",
            )
        after = await self._services.store.last_cursor(self._node.id, self._cursor_key(target))
        cursor = CursorRange(column=name, type=columns[name], after=after)
        # Both ends are named, so that the new cursor is right whatever is written to the table meanwhile.
        upto = await self._services.copying.highest(connection, query, cursor)
        return dataclasses.replace(cursor, upto=upto)

    def _cursor_key(self, target: _Target) -> str:
        """The run's id in a path says nothing about which export it is."""
        path = target.shown.replace(self._services.run_id, "{run_id}")
        return f"{(target.order.cursor or '').lower()} {path}"

    # -- the end ----------------------------------------------------------------------------------------------------

    async def _publish(
        self,
        target: _Target,
        output: Output | PartitionedOutput,
        facts: FileFacts,
        rows: int,
        columns: dict[str, str],
    ) -> ExportResult:
        # Nothing happens on the event loop between these three lines: an attempt ends before them or after them.
        await anyio.lowlevel.checkpoint_if_cancelled()
        self._refuse_late()
        if output.publishes_at_once:
            output.publish()
        else:
            await _in_thread(output.publish)
        result = ExportResult(path=target.shown, rows=rows, bytes=facts.bytes, columns=columns, sha256=facts.sha256)
        self.record.add(result)
        await _to_its_end(output.settle)
        return result

    def _refuse_late(self) -> None:
        if self._surroundings.over:
            raise NodeError(f"{self._node.name} has ended, and with it what its ctx could do")

    async def _would_copy(self, target: _Target, query: str, what: str) -> ExportResult:
        columns: dict[str, str] = {}
        # What it reads may not be built yet.
        with contextlib.suppress(WarehouseError):
            async with self._connection() as held:
                columns = await self._columns_of(held.connection, target, query)
        self._say(target, what)
        return _not_written(target, columns)

    def _say(self, target: _Target, what: str) -> None:
        parts = f", partitioned by {', '.join(target.order.partition_by)}" if target.order.partition_by else ""
        self._surroundings.log(f"would export {what} to {target.shown} as {target.format}{parts}", "info", {})

    # -- connections ------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[_Held]:
        held = _Held(await self._hold(), self._release)
        try:
            yield held
        finally:
            await held.give_back()


class _Held:
    """The node's connection, while an export uses it."""

    def __init__(self, connection: Connection, release: Callable[[], Awaitable[None]]) -> None:
        self.connection = connection
        self._release: Callable[[], Awaitable[None]] | None = release

    async def give_back(self) -> None:
        """Before the end, where the rest needs no connection; once."""
        release, self._release = self._release, None
        if release is not None:
            await release()


def _writing(shown: str) -> None:
    with step(shown, "writing"):
        failpoint("export.writing")


def _declared_columns(node: Node) -> tuple[Column, ...]:
    return node.declaration.columns if isinstance(node.declaration, Asset) else ()


def _partition_columns(target: _Target, columns: dict[str, str]) -> tuple[str, ...]:
    """As the query spells them. Raises ExportError for one that it does not have."""
    spelled = {name.lower(): name for name in columns}
    for name in target.order.partition_by:
        if name.lower() not in spelled:
            raise ExportError(
                f"{target.shown}: there is no column {name} to partition by",
                help=f"the columns are {', '.join(columns)}",
            )
    if len(target.order.partition_by) == len(columns):
        raise ExportError(
            f"{target.shown}: partitioned by all of its columns, its files would have none",
            help="leave a column out of partition_by",
        )
    return tuple(spelled[name.lower()] for name in target.order.partition_by)


def _not_written(target: _Target, columns: dict[str, str]) -> ExportResult:
    return ExportResult(path=target.shown, rows=0, bytes=0, columns=columns, sha256="")


async def _in_thread(function: Callable[..., T], *args: Any) -> T:
    return await anyio.to_thread.run_sync(functools.partial(function, *args))


async def _to_its_end(function: Callable[[], object]) -> None:
    with anyio.CancelScope(shield=True):
        await _in_thread(function)
