"""Queries of unit tests on DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio

from sqlbuild.interfaces.comparing import CopiedFunction, QueryColumn
from sqlbuild.interfaces.warehouse import Connection, Extent
from sqlbuild.sql.rendering import quote_identifier
from sqlbuild.warehouses.duckdb_functions import DuckDBFunctions


class DuckDBComparing:
    """`sqlbuild.interfaces.comparing.Comparing`. Copies of functions stand in a database in memory that is attached for them:
    what is temporary would belong to one statement."""

    folds_names = True

    def __init__(self) -> None:
        self._made: dict[str, CopiedFunction] = {}
        self._making: anyio.Lock | None = None

    async def columns(
        self, connection: Connection, sql: str, functions: Sequence[CopiedFunction] = ()
    ) -> tuple[QueryColumn, ...]:
        _, rows = await self.rows(connection, f"DESCRIBE {sql}", functions)
        return tuple(
            QueryColumn(name=str(name), type=str(type_), is_text=str(type_) == "VARCHAR") for name, type_, *_ in rows
        )

    async def rows(
        self, connection: Connection, sql: str, functions: Sequence[CopiedFunction] = ()
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        if functions:
            await self._make(connection, functions)
        result = await connection.query(sql, extent=Extent.WHOLE)
        try:
            return result.columns, await result.fetch()
        finally:
            await result.close()

    async def _make(self, connection: Connection, functions: Sequence[CopiedFunction]) -> None:
        self._making = self._making or anyio.Lock()
        async with self._making:
            for copy in functions:
                if not self._made:
                    database = quote_identifier(copy.relation.database)
                    await connection.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {database}")
                if copy.relation.name not in self._made:
                    await DuckDBFunctions().build_function(connection, copy.relation, copy.function, copy.sql)
                    self._made[copy.relation.name] = copy
