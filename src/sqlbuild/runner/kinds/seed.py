"""Seeds: a CSV file is read batch by batch into a staging table, which becomes the table in one transaction.

load_seed
  SeedRows.next_batch   on a thread: records become values of the declared types, or an error with its place
  Load.add              they are staged
  Load.apply            the staged table takes the place of the old one
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from sqlbuild.domain.csv_records import MalformedCsv, csv_batches, csv_records, line_of_record, undecodable
from sqlbuild.domain.graph import Node
from sqlbuild.domain.nodes import Seed, WriteStrategy
from sqlbuild.errors import NodeError, RowRefused, SeedError, WarehouseError
from sqlbuild.interfaces.loading import Load, Loaded, Loading, LoadOrder, RowBatch
from sqlbuild.interfaces.warehouse import PLAIN_BUILD, BuildOrder, CommitMarker, Connection, Warehouse
from sqlbuild.runner.outcomes import Outcome, Returned
from sqlbuild.runner.plain_json import plain_json_text
from sqlbuild.runner.run_order import RunOrder
from sqlbuild.runner.seed_values import TextColumn, reader_for
from sqlbuild.runner.staging import staging_name

PART = "seed"
ROWS_AT_ONCE = 10_000
CLEAN_UP_SECONDS = 5.0

_CHUNK = 1 << 20
_WRONG_VALUE = "correct it, declare another type, or name it under csv_settings.na_values if it stands for NULL"


async def load_seed(
    node: Node, warehouse: Warehouse, loading: Loading, order: RunOrder, attempt: int, how: BuildOrder = PLAIN_BUILD
) -> Outcome:
    """Raises SeedError with the place in the CSV file, WarehouseError with that of the seed's entry."""
    seed = node.declaration
    assert isinstance(seed, Seed)
    assert node.relation is not None
    assert order.commits is not None
    load = loading.begin(
        LoadOrder(
            relation=node.relation,
            staging=staging_name(order.run_id, node.relation.name),
            strategy=WriteStrategy.TABLE,
            columns=seed.columns,
            how=how,
            whole=True,
        )
    )
    commit = CommitMarker(relation=order.commits, run_id=order.run_id, node=node.id, part=PART, attempt=attempt)
    connection = warehouse.connect()
    try:
        loaded = await _load(SeedRows(order.root, seed, loading.dialect), load, connection, commit)
    except WarehouseError as error:
        error.line = seed.place.line
        raise
    finally:
        await connection.close()
    facts = {"rows": loaded.rows, "write_strategy": WriteStrategy.TABLE.value}
    return Returned(metadata=plain_json_text(facts, "metadata", order.max_payload_bytes))


async def _load(rows: SeedRows, load: Load, connection: Connection, commit: CommitMarker) -> Loaded:
    try:
        with rows:
            while (batch := await anyio.to_thread.run_sync(rows.next_batch)) is not None:
                try:
                    await load.add(connection, batch)
                except RowRefused as error:
                    raise rows.wrong(error.said, error.row - 1) from error
        return await load.apply(connection, commit)
    except BaseException:
        with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True), contextlib.suppress(NodeError):
            await load.discard(connection)
        raise


class SeedRows:
    """The rows of a seed's file, as a context in which it is open."""

    def __init__(self, root: str, seed: Seed, dialect: str) -> None:
        self._path = Path(root, seed.csv_path)
        self._seed = seed
        self._readers = [reader_for(column.type or "", dialect) for column in seed.columns]
        self._columns = [
            TextColumn(reader, seed.csv.nulls_of(column.name))
            for reader, column in zip(self._readers, seed.columns, strict=True)
        ]
        self._batches: Iterator[tuple[int, list[list[str]]]] | None = None
        self._header: list[str] = []
        self._indexes: list[int] = []
        """Of the seed's columns, in the header of the file."""
        self._first_line = 0
        self._records: list[list[str]] = []
        """Those of the last batch, empty ones among them."""
        self._rows = 0
        """Of the batches before that."""
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._open.close()

    def next_batch(self) -> RowBatch | None:
        """None at the end. Raises SeedError; the file must be the one that the seed was declared with."""
        try:
            if self._batches is None:
                self._batches = self._begin()
            while (found := next(self._batches, None)) is not None:
                self._rows += sum(map(bool, self._records))
                self._first_line, self._records = found
                rows = self._records if all(self._records) else list(filter(None, self._records))
                if rows:
                    return self._batch(rows)
            return None
        except MalformedCsv as error:
            raise self._malformed(error) from error
        except UnicodeError as error:
            line, what = undecodable(self._path.read_bytes(), self._seed.csv.encoding)
            help = "save it in that encoding, or say in `csv_settings.encoding` which one it has"
            raise self._error(f"the file is not {self._seed.csv.encoding}: {what}", help, line) from error
        except OSError as error:
            message = f"the file cannot be read: {error.strerror or error}"
            raise self._error(message, "check that it is there and that you may read it", None) from error

    def wrong(self, said: str, row: int) -> SeedError:
        """The error for a row of the last batch, which counts from 0 in the whole file."""
        return self._error(said, _WRONG_VALUE, self._line_of(row - self._rows))

    def _line_of(self, index: int) -> int:
        """Of a row of the last batch."""
        places = (place for place, record in enumerate(self._records) if record)
        place = next(itertools.islice(places, index, None))
        return line_of_record(self._first_line, self._records, place, self._seed.csv)

    def _malformed(self, error: MalformedCsv) -> SeedError:
        """With the line of the record, not that of its batch."""
        encoding = "utf-8-sig" if self._seed.csv.encoding == "utf-8" else self._seed.csv.encoding
        try:
            with self._path.open(encoding=encoding, newline="") as text:
                for _ in csv_records(text, self._seed.csv):
                    pass
        except MalformedCsv as found:
            error = found
        return self._error(str(error), error.help, error.line)

    def _begin(self) -> Iterator[tuple[int, list[list[str]]]]:
        settings = self._seed.csv
        content = self._open.enter_context(self._path.open("rb"))
        digest = hashlib.blake2b(digest_size=len(self._seed.content_digest) // 2)
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
        if digest.hexdigest() != self._seed.content_digest:
            raise self._error("the file has changed since the project was read", "build again", None)
        content.seek(0)
        encoding = "utf-8-sig" if settings.encoding == "utf-8" else settings.encoding
        text = self._open.enter_context(io.TextIOWrapper(content, encoding=encoding, newline=""))
        batches = csv_batches(text, settings, ROWS_AT_ONCE)
        first_line, records = next(found for found in batches if any(found[1]))
        place = next(index for index, record in enumerate(records) if record)
        self._header = records[place]
        places = {field.lower(): index for index, field in enumerate(self._header)}
        self._indexes = [places[column.name.lower()] for column in self._seed.columns]
        following = line_of_record(first_line, records, place + 1, settings)
        return itertools.chain([(following, records[place + 1 :])], batches)

    def _batch(self, rows: Sequence[list[str]]) -> RowBatch:
        width = len(self._header)
        if set(map(len, rows)) != {width}:
            index, found = next((index, len(row)) for index, row in enumerate(rows) if len(row) != width)
            raise self._ragged(self._line_of(index), found, width)
        by_field = list(zip(*rows, strict=True))
        columns = {}
        wrong: list[tuple[int, str]] = []
        for place, column in enumerate(self._seed.columns):
            texts = by_field[self._indexes[place]]
            values, bad = self._columns[place].values(texts)
            if bad is not None:
                wrong.append((bad[0], _no_value(column.name, texts[bad[0]], column.type or "", bad[1])))
            if column.nullable is False and None in values:
                message = f"column {column.name} is NULL, but it is declared not nullable"
                wrong.append((values.index(None), message))
            columns[column.name] = self._readers[place].column(values)
        if wrong:
            index, message = min(wrong)
            raise self.wrong(message, self._rows + index)
        return RowBatch(rows=len(rows), first_row=self._rows + 1, columns=columns)

    def _ragged(self, line: int, found: int, wanted: int) -> SeedError:
        return self._error(
            f"{found} {'field' if found == 1 else 'fields'}, but the first line names {wanted}",
            "quote a field in which the delimiter belongs to the text, or see csv_settings",
            line,
        )

    def _error(self, message: str, help: str, line: int | None) -> SeedError:
        return SeedError(message, help=help, path=self._seed.csv_path, line=line)


def _no_value(column: str, text: str, type_: str, why: str) -> str:
    shown = repr(text if len(text) <= 60 else text[:57] + "...")
    return f"column {column}: {shown} is no {type_}, the declared type{': ' + why if why else ''}"
