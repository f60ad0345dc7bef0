"""`ctx.pool(...)`: one slot and one token of each pool while a block lasts."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, NoReturn

from sqlbuild.authoring.service_waits import wait_to_tell
from sqlbuild.errors import MissingAwait, NodeError
from sqlbuild.interfaces.node_session import NodeSession
from sqlbuild.interfaces.node_work import PoolWork

_NOBODY_KNOWS = (0,)
_around: ContextVar[tuple[int, ...]] = ContextVar("sqlbuild_pool_blocks", default=_NOBODY_KNOWS)
"""Numbers of the blocks that were entered around what runs, beginning with 0 where nobody knows what is around them."""


def begin_outside_of_blocks() -> None:
    """Whatever starts in this context is in no block yet."""
    _around.set(())


def leave_blocks_left_open(session: NodeSession) -> None:
    """The function of a node has ended, in this context: nobody can leave any more what it has entered itself."""
    around = _around.get()
    if around:
        begin_outside_of_blocks()
        for number in reversed(around):
            session.work.leave_pools(number, None)


class _Block:
    __slots__ = ("__weakref__", "_names", "_number", "_work")

    def __init__(self, work: PoolWork, names: tuple[object, ...]) -> None:
        self._work = work
        self._names = checked_pools("ctx.pool()", names)
        self._number: int | None = None

    def __repr__(self) -> str:
        return f"<ctx.pool({', '.join(map(repr, self._names))})>"

    def _blocks_around(self) -> tuple[int, ...] | None:
        if self._number is not None:
            raise NodeError(f"{self!r} is entered already", help="call ctx.pool(...) for each block")
        around = _around.get()
        return None if around == _NOBODY_KNOWS else around

    def _begin(self, number: int) -> None:
        self._number = number
        _around.set((*_around.get(), number))

    def _end(self, error: BaseException | None) -> None:
        number, self._number = self._number, None
        if number is not None:
            # Not by a token: blocks are left in any order, also in other tasks than they were entered in.
            around = _around.get()
            if number in around:
                _around.set(tuple(other for other in around if other != number))
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
        self._begin(self._session.wait(self._work.take_pools, self._names, around))

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
        self._begin(await self._work.take_pools(self._names, around))

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
