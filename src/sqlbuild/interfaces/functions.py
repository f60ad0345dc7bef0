"""SQL functions that a warehouse keeps: a further interface of it, beside `interfaces.warehouse`."""

from __future__ import annotations

from typing import Protocol

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.nodes import Function
from sqlbuild.interfaces.warehouse import Connection


class FunctionBuilding(Protocol):
    async def build_function(self, connection: Connection, name: Relation, function: Function, sql: str) -> None:
        """Put `function`, whose expression or query is `sql`, in the place of the function called `name`, in one transaction.

        What calls the old one goes on working: it calls the new one or, where that takes or gives something else and
        the caller is bound to the old one, the old one. On any error or cancellation the old one stays. Raises
        WarehouseError.
        """
