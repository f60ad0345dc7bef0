"""Notices when the event loop stands still, and which async node keeps it.

A thread of its own asks the loop for a sign a few times in each `blocked_loop_seconds`. While none comes it looks at
the stack of the loop's thread: a node is named only if its code stands there in every look over that time. Nothing is
done per node, so a run in which nothing blocks pays for one callback in each interval.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable

from sqlbuild.domain.events import Event, RunWarning
from sqlbuild.domain.record import record
from sqlbuild.runner.attempts import Attempt, LoopBlock
from sqlbuild.runner.loop_stack import Look, LoopStack

_LOOKS = 5
"""How often the loop is asked within the time after which it counts as blocked."""
_FEWEST_LOOKS = 3
_SHORTEST_INTERVAL = 0.005
_BUSY_SHARE = 0.25
"""A loop is late and not just a process that the system did not let run, if the process had so much of the time."""

_OUTSIDE = "cause outside async nodes"
_UNSEEN = "in native code that was called on it and let nobody look"


@record(frozen=True, slots=True)
class CpuTimes:
    """Seconds that the whole process and the loop's thread have had of the processors; None where that is not known."""

    process: float
    loop: float | None


@record(slots=True)
class _Silence:
    """Since `asked_at` (monotonic seconds) the loop has given no sign."""

    asked_at: float
    before: CpuTimes
    clean_looks: int = 0
    looks_at_nodes: int = 0
    looks: int = 0
    named: bool = False
    held: _Hold | None = None


@record(slots=True)
class _Hold:
    """One node, seen in every look since `since`. `starved` are seconds for which this thread could not look."""

    attempt: Attempt
    since: float
    looks: int = 0
    starved: float = 0.0
    block: LoopBlock | None = None


class LoopWatchdog:
    """Made on the event loop's thread. `ring` runs a function on the loop, from any thread; `seconds` is how long the
    loop may be late. `running` are the attempts that have begun and not ended."""

    def __init__(
        self,
        *,
        seconds: float,
        root: str,
        ring: Callable[[Callable[[], None]], None],
        running: Callable[[], Iterable[Attempt]],
        publish: Callable[[Event], None],
        now: Callable[[], float],
    ) -> None:
        self._seconds = seconds
        self._interval = max(_SHORTEST_INTERVAL, seconds / _LOOKS)
        self._loop_thread = threading.get_ident()
        self._stack = LoopStack(self._loop_thread, root, running)
        self._ring = ring
        self._publish = publish
        self._now = now
        self._over = threading.Event()
        self._answered_at: float | None = None
        self._silence: _Silence | None = None
        self._stolen = 0.0
        self._late: list[float] = []
        self._woken_at: float | None = None
        self._cpu = self._cpu_times()
        self._thread = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)

    def start(self) -> None:
        with contextlib.suppress(RuntimeError):  # the system gives no more threads: the run goes on unwatched
            self._thread.start()

    def stop(self) -> None:
        """On the loop: nothing is looked at any more, and what was seen more than once is summed up."""
        self._over.set()
        if self._woken_at is not None and self._answered_at is not None:
            self._was_kept_from_looking(time.monotonic() - self._woken_at - self._interval)
        if len(self._late) > 1:
            self._warn(
                f"event loop late {len(self._late):,} times, {sum(self._late):.1f} s in all, "
                f"at most {max(self._late):.1f} s at once"
            )

    def stolen(self) -> float:
        """Seconds for which the loop stood still so far, on the loop's thread; short ones do not count."""
        silence = self._silence
        if silence is None or self._answered_at is not None:
            return self._stolen
        lasted = time.monotonic() - silence.asked_at
        return self._stolen + (lasted if lasted >= self._seconds else 0.0)

    # -- the thread -------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        woken = self._woken_at = time.monotonic()
        while not self._over.wait(self._interval):
            before, woken = woken, time.monotonic()
            silence = self._silence
            if silence is None or self._answered_at is not None:
                if silence is not None:
                    self._heard(silence)
                self._was_kept_from_looking(woken - before - self._interval)
                if not self._ask():
                    return
            else:
                self._look(silence, before, woken)
            self._woken_at = woken

    def _ask(self) -> bool:
        self._answered_at = None
        self._cpu = self._cpu_times()
        self._silence = _Silence(time.monotonic(), self._cpu)
        try:
            self._ring(self._answer)
        except RuntimeError:  # the loop is gone
            return False
        return True

    def _answer(self) -> None:
        """On the loop."""
        silence = self._silence
        if silence is None:
            return
        now = time.monotonic()
        if now - silence.asked_at >= self._seconds:
            self._stolen += now - silence.asked_at
        self._answered_at = now

    def _look(self, silence: _Silence, before: float, now: float) -> None:
        seen = self._stack.look()
        late = max(0.0, now - before - self._interval)
        clean = late <= self._interval
        silence.looks += 1
        silence.clean_looks += clean
        silence.looks_at_nodes += seen is not None
        held = silence.held
        if seen is None or seen.attempt is None or held is None or held.attempt is not seen.attempt:
            self._end_hold(held, before)
            held = silence.held = None
            if seen is not None and seen.attempt is not None:
                held = silence.held = _Hold(seen.attempt, silence.asked_at if silence.looks == 1 else before)
        if held is None or seen is None:
            return
        held.looks += clean
        held.starved += late
        if held.block is None and self._is_proven(held, now):
            silence.named = True
            self._name(held, seen)

    def _is_proven(self, held: _Hold, now: float) -> bool:
        """Time in which this thread could not run either does not count: then something else kept them both."""
        return held.looks >= _FEWEST_LOOKS and now - held.since - held.starved >= self._seconds

    def _name(self, held: _Hold, seen: Look) -> None:
        held.block = LoopBlock(place=seen.place, since=held.since)
        attempt = held.attempt
        attempt.blocks = (*(attempt.blocks or ()), held.block)
        if attempt.session is not None:
            attempt.session.log(
                f"keeps the event loop from running, for more than {self._seconds:g} s already, at {seen.place}",
                "warning",
                {},
            )

    def _end_hold(self, held: _Hold | None, at: float) -> None:
        if held is not None and held.block is not None and held.block.until is None:
            held.block.until = at

    def _heard(self, silence: _Silence) -> None:
        assert self._answered_at is not None
        self._end_hold(silence.held, self._answered_at)
        lasted = self._answered_at - silence.asked_at
        if lasted < self._seconds or silence.named:
            return
        if silence.clean_looks >= _FEWEST_LOOKS:
            several = silence.looks_at_nodes * 2 > silence.looks
            self._was_late(lasted, "many async nodes had work at once" if several else _OUTSIDE)
        else:
            self._was_late_unseen(lasted, silence.before)

    def _was_kept_from_looking(self, late: float) -> None:
        """This thread did not run for so long, and with it the loop: something else held the interpreter."""
        if late >= self._seconds:
            self._stolen += late
            self._was_late_unseen(late, self._cpu)

    def _was_late_unseen(self, lasted: float, before: CpuTimes) -> None:
        now = self._cpu_times()
        if now.process - before.process < lasted * _BUSY_SHARE:
            return  # the system did not let the process run
        on_loop = now.loop is not None and before.loop is not None and now.loop - before.loop >= lasted / 2
        self._was_late(lasted, _UNSEEN if on_loop else _OUTSIDE)

    def _was_late(self, lasted: float, cause: str) -> None:
        self._late.append(lasted)
        if len(self._late) == 1:
            self._warn(f"event loop late by {lasted:.1f} s, {cause}")

    def _cpu_times(self) -> CpuTimes:
        try:
            loop = time.clock_gettime(time.pthread_getcpuclockid(self._loop_thread))
        except (AttributeError, OSError):  # not on this system
            loop = None
        return CpuTimes(time.process_time(), loop)

    def _warn(self, message: str) -> None:
        self._publish(RunWarning(self._now(), message))
