"""What a factory made, kept so that it is made once however often the factory is called."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterable, Callable, Iterator
from types import FunctionType
from typing import Any

from sqlbuild.domain.ids import Place

_NOT_YET = object()


class Factory:
    """One function that makes nodes; they belong to the file that `belonging` opens and closes while it runs."""

    def __init__(
        self, function: FunctionType, place: Place, belonging: Callable[[], contextlib.AbstractContextManager[None]]
    ) -> None:
        self.function = function
        self.place = place
        self._belonging = belonging
        self._made: object = _NOT_YET
        self._was_iterator = False
        self._failed: BaseException | None = None

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function) or inspect.isasyncgenfunction(self.function)

    def call(self) -> Any:
        """What a `def` returns, the same each time; an iterator starts again."""
        if not self._has_run():
            try:
                with self._belonging():
                    self._keep(self.function())
            except BaseException as error:
                self._failed = error
                raise
        return iter(self._made) if self._was_iterator else self._made  # type: ignore[call-overload]

    async def call_async(self) -> Any:
        """What an `async def` gives, or all that it yields; the same each time."""
        if not self._has_run():
            try:
                with self._belonging():
                    value: Any = self.function()
                    self._keep([node async for node in value] if isinstance(value, AsyncIterable) else await value)
            except BaseException as error:
                self._failed = error
                raise
        return self._made

    def _has_run(self) -> bool:
        if self._failed is not None:
            raise self._failed
        return self._made is not _NOT_YET

    def _keep(self, value: object) -> None:
        self._was_iterator = isinstance(value, Iterator)
        self._made = tuple(value) if isinstance(value, Iterator) else value
