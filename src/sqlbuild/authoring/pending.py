"""Calls of an async context that must be awaited, and say so when they are not."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from sqlbuild.authoring.callers import place_of_caller
from sqlbuild.errors import MissingAwait
from sqlbuild.interfaces.node_session import NodeSession

T = TypeVar("T")


class Pending(Coroutine[Any, Any, T]):
    """A call that begins when it is awaited; until then the session remembers it as something left undone.

    Works wherever a coroutine does (`create_task`, `gather`, `start_soon`). Using it like the value it would give
    raises MissingAwait.
    """

    __slots__ = ("__weakref__", "_args", "_begun", "_call", "_function", "_place", "_session")

    def __init__(
        self, session: NodeSession, call: str, function: Callable[..., Coroutine[Any, Any, T]], *args: Any
    ) -> None:
        self._session = session
        self._call = call
        self._function = function
        self._args = args
        self._begun: Coroutine[Any, Any, T] | None = None
        self._place = place_of_caller(2)
        session.note(self, f"{call} at {self._place} was never awaited: write `await {call}`")

    def _begin(self) -> Coroutine[Any, Any, T]:
        if self._begun is None:
            self._session.note(self, None)
            self._begun = self._function(*self._args)
        return self._begun

    def __await__(self) -> Generator[Any, Any, T]:
        return self._begin().__await__()

    def send(self, value: Any) -> Any:
        return self._begin().send(value)

    def throw(self, *error: Any) -> Any:
        return self._begin().throw(*error)

    def close(self) -> None:
        self._begin().close()

    def __repr__(self) -> str:
        return f"<{self._call}, not awaited>" if self._begun is None else f"<{self._call}>"

    if not TYPE_CHECKING:
        # Hidden from type checkers, which shall report these uses themselves.

        def __getattr__(self, name: str) -> Any:
            if name.startswith("cr_"):
                # Loops look into their coroutines through these.
                return getattr(self._begin(), name)
            if not name.startswith("_"):
                self._not_awaited(f".{name}")
            raise AttributeError(name)

        def __getitem__(self, key: object) -> NoReturn:
            self._not_awaited("[...]")

        def __iter__(self) -> NoReturn:
            self._not_awaited("for ... in")

        def __aiter__(self) -> NoReturn:
            self._not_awaited("async for ... in")

        def __contains__(self, item: object) -> NoReturn:
            self._not_awaited("... in")

        def __len__(self) -> NoReturn:
            self._not_awaited("len()")

        def __bool__(self) -> NoReturn:
            self._not_awaited("a truth test")

        def __eq__(self, other: object) -> bool:
            if other is not self:
                self._not_awaited("==")
            return True

        __hash__ = object.__hash__

    def _not_awaited(self, use: str) -> NoReturn:
        raise MissingAwait(
            f"{use} of {self._call} at {place_of_caller()}, which was not awaited",
            help=f"write `await {self._call}` in brackets, then use it: `(await {self._call})`",
        )
