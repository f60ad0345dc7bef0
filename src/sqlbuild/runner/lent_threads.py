"""Idle threads of the lane, lent to the items of a `def` node's `ctx.map` until a node wants them."""

from __future__ import annotations

import functools
from collections.abc import Callable

from sqlbuild.interfaces.executor import Executor
from sqlbuild.runner.capacity import Capacity, Waiter

Work = Callable[[Callable[[], bool]], bool]


class LentThreads:
    """On the event loop. `grant` lets start what may, `ended` is called after each thread that comes back."""

    def __init__(
        self,
        capacity: Capacity[Waiter],
        executor: Executor,
        grant: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        self._capacity = capacity
        self._executor = executor
        self._grant = grant
        self._ended = ended
        self._wanted = False
        self.out = 0
        """How many threads help at this moment."""

    def review(self) -> None:
        """Call it after every grant while threads are out: a node that waits for one gets the next that comes back."""
        self._wanted = self._capacity.nodes_wait_for_threads()

    def ask(self, work: Work, at_most: int) -> LoanRequest:
        request = LoanRequest(self, work)
        request.wait_for(at_most)
        self._grant()
        return request

    def _is_wanted(self) -> bool:
        """On a helping thread; says yes once for each review."""
        wanted, self._wanted = self._wanted, False
        return wanted

    def begin(self, request: LoanRequest) -> None:
        self.out += 1
        self._executor.submit(
            functools.partial(request.work, self._is_wanted), functools.partial(self._came_back, request)
        )

    def _came_back(self, request: LoanRequest, has_more: object) -> None:
        self.out -= 1
        self._capacity.give_back_helper()
        if has_more:
            request.wait_for(1)
        self._grant()
        self._ended()

    def wait(self, helper: Waiter) -> None:
        self._capacity.add_helper(helper)

    def withdraw(self, helper: Waiter) -> None:
        self._capacity.withdraw_helper(helper)


class LoanRequest:
    """One map's wish for threads."""

    def __init__(self, lent: LentThreads, work: Work) -> None:
        self._lent = lent
        self.work = work
        self._waiting: set[_Helper] = set()
        self._over = False

    def wait_for(self, threads: int) -> None:
        if not self._over:
            for _ in range(threads):
                helper = _Helper(self)
                self._waiting.add(helper)
                self._lent.wait(helper)

    def granted(self, helper: _Helper) -> None:
        self._waiting.discard(helper)
        self._lent.begin(self)

    def end(self) -> None:
        """No thread begins any more; those that do come back by themselves."""
        self._over = True
        for helper in self._waiting:
            self._lent.withdraw(helper)
        self._waiting.clear()


class _Helper:
    """A thread that is waited for."""

    __slots__ = ("_request",)

    def __init__(self, request: LoanRequest) -> None:
        self._request = request

    @property
    def granted(self) -> _Helper:
        return self

    def set(self) -> None:
        self._request.granted(self)
