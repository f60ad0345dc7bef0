"""What a warehouse knows of the columns of a query before it runs, for those that compare its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.nodes import Function
from sqlbuild.domain.record import record
from sqlbuild.interfaces.warehouse import Connection


@record(frozen=True, slots=True, kw_only=True)
class QueryColumn:
    """One column of a query; `type` is spelled as it may stand in a CAST."""

    name: str
    type: str
    is_text: bool = False
    compared_as: str | None = None
    """What its values are cast to, to be compared: not every type can be."""


@record(frozen=True, slots=True, kw_only=True)
class CopiedFunction:
    """A SQL function that statements call as `relation`; its SQL calls others in the same way."""

    relation: Relation
    function: Function
    sql: str


class Comparing(Protocol):
    """An interface of a warehouse beside `interfaces.warehouse`; awaited on the event loop. Errors are `WarehouseError`."""

    @property
    def folds_names(self) -> bool:
        """Whether names of columns are the same in upper and lower case."""

    async def columns(
        self, connection: Connection, sql: str, functions: Sequence[CopiedFunction] = ()
    ) -> tuple[QueryColumn, ...]:
        """Of one query, which is not run; `functions` are there for it, and for nobody else for longer than this run."""

    async def rows(
        self, connection: Connection, sql: str, functions: Sequence[CopiedFunction] = ()
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """The names of the columns of one query, and all its rows."""
