"""How long a service asks to be left alone, read from the exception that its answer became."""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Callable, Iterator

from sqlbuild.domain.pattern import pattern
from sqlbuild.retries import RetryAfter

_BUSY = (429, 503)
_MOST_EXCEPTIONS = 100
_SECONDS = pattern(r"\d{1,12}(\.\d{1,9})?", re.ASCII)
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_DATES = (
    pattern(r"\w{3}, (?P<day>\d\d) (?P<month>\w{3}) (?P<year>\d{4}) (?P<time>\d\d:\d\d:\d\d) GMT", re.ASCII),
    pattern(r"\w{6,9}, (?P<day>\d\d)-(?P<month>\w{3})-(?P<year>\d\d) (?P<time>\d\d:\d\d:\d\d) GMT", re.ASCII),
    pattern(r"\w{3} (?P<month>\w{3}) (?P<day>[ \d]\d) (?P<time>\d\d:\d\d:\d\d) (?P<year>\d{4})", re.ASCII),
)
"""The three forms of RFC 9110, section 5.6.7."""
_TOLD = "_sqlbuild_wait_told"


def asked_wait(error: BaseException, now: Callable[[], float]) -> float | None:
    """Seconds, or None if nothing in `error` asks for a wait; `now` gives seconds since the epoch.

    `RetryAfter`, and status 429 or 503 with a `Retry-After` header, as httpx, aiohttp, requests and urllib raise them.
    Of a group, and of what an exception was raised from, the longest wait counts.
    """
    return max((wait for _, wait in _waits(error, now)), default=None)


def wait_to_tell(error: BaseException, now: Callable[[], float]) -> float | None:
    """The same, but each exception counts once: who asks first is the one who pauses its pools."""
    longest: float | None = None
    for each, wait in _waits(error, now):
        if _attribute(each, _TOLD) is True:
            continue
        longest = wait if longest is None else max(longest, wait)
        with contextlib.suppress(AttributeError, TypeError):  # without attributes pools further out pause as well
            setattr(each, _TOLD, True)
    return longest


def told_wait(seconds: float) -> RetryAfter:
    """Asks for a wait for which the pools have been paused already."""
    told = RetryAfter(seconds)
    setattr(told, _TOLD, True)
    return told


def _waits(error: BaseException, now: Callable[[], float]) -> list[tuple[BaseException, float]]:
    return [(each, wait) for each in _with_causes(error) if (wait := _wait_of(each, now)) is not None]


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _MOST_EXCEPTIONS:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        if each.__cause__ is not None:
            waiting.append(each.__cause__)


def _wait_of(error: BaseException, now: Callable[[], float]) -> float | None:
    if isinstance(error, RetryAfter):
        return error.seconds
    response = _attribute(error, "response")
    statuses = (_attribute(response, "status_code"), _attribute(response, "status"), _attribute(error, "status"))
    if not any(isinstance(status, int) and status in _BUSY for status in statuses):
        return None
    for holder in (response, error):
        text = _header(_attribute(holder, "headers"))
        if text is not None and (wait := _seconds(text, now)) is not None:
            return wait
    return None


def _attribute(holder: object, name: str) -> object:
    """Attributes of foreign exceptions may be properties that raise."""
    try:
        return getattr(holder, name, None)
    except (RuntimeError, TypeError, ValueError, LookupError, OSError):
        return None


def _header(headers: object) -> str | None:
    get = _attribute(headers, "get")
    if not callable(get):
        return None
    for name in ("Retry-After", "retry-after"):
        try:
            value = get(name)
        except (RuntimeError, TypeError, ValueError, LookupError, OSError):
            return None
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value).strip()
    return None


def _seconds(text: str, now: Callable[[], float]) -> float | None:
    if _SECONDS.fullmatch(text):
        return float(text)
    moment = _moment(text)
    return None if moment is None else max(0.0, moment - now())


def _moment(text: str) -> float | None:
    """Seconds since the epoch of an HTTP date."""
    for form in _DATES:
        found = form.fullmatch(text)
        if found is None or found["month"] not in _MONTHS:
            continue
        year, month = int(found["year"]), _MONTHS.index(found["month"]) + 1
        if year < 100:
            year += 2000 if year < 70 else 1900
        iso = f"{year:04}-{month:02}-{int(found['day']):02}T{found['time']}+00:00"
        try:
            return datetime.datetime.fromisoformat(iso).timestamp()
        except ValueError:  # no such day or hour
            return None
    return None
