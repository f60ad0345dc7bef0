"""Rows that the server has to cast: they go into a table beside the staging table, from there into it, and which one
cannot be cast is searched for. The table is gone before anybody else could see it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.record import record
from sqlbuild.drivers.postgres_copy import copy_rows, refusal
from sqlbuild.drivers.postgres_errors import translated
from sqlbuild.errors import WarehouseError
from sqlbuild.sql.rendering import quote_identifier, quote_relation
from sqlbuild.warehouses.postgres_refusals import told
from sqlbuild.warehouses.postgres_rows import Outgoing, uncastable

_NUMBER = "n"


async def cast_rows(
    raw: Any, staging: Relation, columns: Sequence[Outgoing], numbers: Sequence[int], row_column: str
) -> None:
    """Within a transaction. `numbers` are those of the rows, kept in `row_column` if the staging table has one."""
    # Nobody sees this name: the table comes and goes in one transaction.
    beside = dataclasses.replace(
        staging, name=f"_sqlbuild_raw_{hashlib.sha256(staging.name.encode()).hexdigest()[:16]}"
    )
    name = quote_relation(beside)
    listed = ", ".join(f"{column.alias} {column.type}" for column in columns)
    await raw.execute(f"CREATE UNLOGGED TABLE {name} ({_NUMBER} bigint, {listed})")
    aliases = [_NUMBER, *(column.alias for column in columns)]
    rows = zip(numbers, *(column.values for column in columns), strict=True)
    await copy_rows(raw, beside.schema, beside.name, aliases, rows, types_are_known=False)
    names = [quote_identifier(column.held.name) for column in columns]
    values = [column.value for column in columns]
    if row_column:
        names.append(quote_identifier(row_column))
        values.append(_NUMBER)
    sql = f"INSERT INTO {quote_relation(staging)} ({', '.join(names)}) SELECT {', '.join(values)} FROM {name}"
    try:
        async with raw.transaction():
            with translated(sql):
                await raw.execute(sql)
    except WarehouseError as error:
        if refusal(error).is_about_data:
            for column in columns:
                if column.cast:
                    await _blame(raw, _Cast(staging, name, column), numbers)
        raise
    await raw.execute(f"DROP TABLE {name}")


@record(frozen=True, slots=True)
class _Cast:
    """Of one column: from the table `source`, quoted, into the staging table."""

    staging: Relation
    source: str
    column: Outgoing


class _TriedError(Exception):
    """Ends a transaction that was only a trial."""


async def _blame(raw: Any, cast: _Cast, numbers: Sequence[int]) -> None:
    """Raise an error that names the first value of a column that cannot be cast; return if all can be."""
    column = cast.column
    error = await _error_of(raw, cast, numbers[-1])
    if error is None:
        return
    if refusal(error).state[:2] == "42":
        raise WarehouseError(
            f"column {column.held.name}: {refusal(error).message}, "
            f"{'the declared type' if column.held.declared else 'the type of the column'}",
            help="convert the values in the loader, or declare another type",
        )
    low, high = 0, len(numbers) - 1
    while low < high:
        middle = (low + high) // 2
        found = await _error_of(raw, cast, numbers[middle])
        if found is None:
            low = middle + 1
        else:
            high, error = middle, found
    value = await raw.fetchval(
        f"SELECT CAST({column.alias} AS text) FROM {cast.source} WHERE {_NUMBER} = {numbers[low]}"
    )
    said = refusal(error)
    if said.state in ("22021", "22P05"):
        raise told(said, column.held.name, numbers[low])
    raise uncastable(column, value, numbers[low])


async def _error_of(raw: Any, cast: _Cast, last: int) -> WarehouseError | None:
    """What happens when the values up to the row `last` get into their column; nothing stays of it."""
    sql = (
        f"INSERT INTO {quote_relation(cast.staging)} ({quote_identifier(cast.column.held.name)}) "
        f"SELECT {cast.column.value} FROM {cast.source} WHERE {_NUMBER} <= {last}"
    )

    async def attempt() -> None:
        async with raw.transaction():
            with translated():
                await raw.execute(sql)
            raise _TriedError

    try:
        await attempt()
    except WarehouseError as error:
        if not refusal(error).is_about_data:
            raise
        return error
    except _TriedError:
        pass
    return None
