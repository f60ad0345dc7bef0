"""`ctx.pool(...)`: one slot and one token of each pool while a block lasts."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, NoReturn

from sqlbuild.authoring.service_waits import wait_to_tell
from sqlbuild.errors import MissingAwait, NodeError
from sqlbuild.interfaces.node_session import NodeSession
from sqlbuild.interfaces.node_work import PoolWork

_around: ContextVar[tuple[int, ...]] = ContextVar("sqlbuild_pool_blocks")
"""Numbers of the blocks that were entered around what runs."""


def begin_outside_of_blocks() -> None:
    """Whatever starts in this context is in no block yet. Where it was never called, nobody knows."""
    _around.set(())


class _Block:
    __slots__ = ("__weakref__", "_names", "_number", "_token", "_work")

    def __init__(self, work: PoolWork, names: tuple[object, ...]) -> None:
        self._work = work
        self._names = checked_pools("ctx.pool()", names)
        self._number: int | None = None
        self._token: Token[tuple[int, ...]] | None = None

    def __repr__(self) -> str:
        return f"<ctx.pool({', '.join(map(repr, self._names))})>"

    def _blocks_around(self) -> tuple[int, ...] | None:
        if self._number is not None:
            raise NodeError(f"{self!r} is entered already", help="call ctx.pool(...) for each block")
        return _around.get(None)

    def _begin(self, number: int, around: tuple[int, ...] | None) -> None:
        self._number = number
        self._token = _around.set((*(around or ()), number))

    def _end(self, error: BaseException | None) -> None:
        number, self._number = self._number, None
        token, self._token = self._token, None
        if token is not None:
            with contextlib.suppress(ValueError):  # it is left in another task than it was entered in
                _around.reset(token)
        if number is not None:
            self._work.leave_pools(number, None if error is None else wait_to_tell(error, self._work.now))

    def __del__(self) -> None:
        # Entered and dropped without being left: nobody can leave it any more.
        number = getattr(self, "_number", None)
        if number is not None:
            self._work.leave_pools(number, None)


class PoolBlock(_Block):
    """`with ctx.pool("crm_api"):`"""

    __slots__ = ("_session",)

    def __init__(self, session: NodeSession, names: tuple[object, ...]) -> None:
        super().__init__(session.work, names)
        self._session = session

    def __enter__(self) -> None:
        around = self._blocks_around()
        self._begin(self._session.wait(self._work.take_pools, self._names, around), around)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._end(error)

    if not TYPE_CHECKING:

        def __aenter__(self) -> NoReturn:
            raise MissingAwait(
                "`async with ctx.pool(...)` in a `def` node", help="write `with ctx.pool(...)`, or make it `async def`"
            )

        def __aexit__(self, *error: object) -> None: ...


class AsyncPoolBlock(_Block):
    """`async with ctx.pool("crm_api"):`"""

    __slots__ = ()

    async def __aenter__(self) -> None:
        around = self._blocks_around()
        self._begin(await self._work.take_pools(self._names, around), around)

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._end(error)

    if not TYPE_CHECKING:

        def __enter__(self) -> NoReturn:
            raise MissingAwait("`with ctx.pool(...)` in an `async def` node", help="write `async with ctx.pool(...)`")

        def __exit__(self, *error: object) -> None: ...


def checked_pools(call: str, names: tuple[object, ...]) -> tuple[str, ...]:
    """Each name once. Raises TypeError for no names or something that is none."""
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong or not names:
        given = f", not {wrong[0]!r}" if wrong else ""
        raise TypeError(f"{call} takes the name of a pool, or several{given}")
    return tuple(dict.fromkeys(map(str, names)))
