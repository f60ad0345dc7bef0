"""Connections for statements of Python nodes, out of the same lane as SQL models."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from sqlbuild.interfaces.warehouse import Connection, Warehouse
from sqlbuild.runner.capacity import Capacity, Waiter


class ConnectionRequest:
    __slots__ = ("granted",)

    def __init__(self) -> None:
        self.granted = anyio.Event()


class ConnectionSlots:
    """`grant` lets whatever may start now start."""

    def __init__(self, capacity: Capacity[Waiter], warehouse: Warehouse, grant: Callable[[], None]) -> None:
        self._capacity = capacity
        self._warehouse = warehouse
        self._grant = grant

    async def borrow(self) -> Connection:
        request = ConnectionRequest()
        if self._capacity.add_statement(request):
            self._grant()
            if request.granted.is_set():
                return self._warehouse.connect()
        try:
            await request.granted.wait()
        except BaseException:
            if not self._capacity.withdraw_statement(request) and request.granted.is_set():
                self._capacity.give_back_statement()
                self._grant()
            raise
        return self._warehouse.connect()

    def borrow_now(self) -> Connection | None:
        request = ConnectionRequest()
        self._capacity.add_statement(request)
        self._grant()
        if request.granted.is_set():
            return self._warehouse.connect()
        self._capacity.withdraw_statement(request)
        return None

    async def give_back(self, connection: Connection) -> None:
        try:
            await connection.close()
        finally:
            self._capacity.give_back_statement()
            self._grant()
