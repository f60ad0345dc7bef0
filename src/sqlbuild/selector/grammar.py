"""The text of one selector, read into a small tree.

    selector      = term *("," term)                      what all terms have in common
    term          = [up] match ["~" match] [down]         `~`: every path between the two
    up            = [number] "+"                          the upstreams too, `number` steps far or all of them
    down          = "+" [number]                          the same for what depends on it
    match         = name | kind ":" name | method ":" value | path

A name may be a glob; whatever holds a `/` is a path.
"""

from __future__ import annotations

import difflib
from typing import Literal, cast, get_args

from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record
from sqlbuild.domain.results import Status
from sqlbuild.errors import SelectionError

KindWord = Literal["source", "model", "function", "task", "asset", "seed", "loader", "check", "test", "audit"]
Method = Literal["name", "tag", "group", "path", "state", "result"] | KindWord
State = Literal["new", "changed", "failed"]

KIND_WORDS: tuple[KindWord, ...] = get_args(KindWord)
STATES: tuple[State, ...] = get_args(State)
_PREFIXES: tuple[str, ...] = (*KIND_WORDS, "tag", "group", "path", "state", "result")

_UP = pattern(r"([0-9]*)\+")
_DOWN = pattern(r"\+([0-9]*)$")
_MOST_DIGITS = 9


@record(frozen=True, slots=True, kw_only=True)
class Match:
    """One way of naming nodes, for example `tag` and `marts`."""

    method: Method
    value: str
    text: str
    """As written."""


@record(frozen=True, slots=True, kw_only=True)
class Term:
    """What one match names, or all paths between two, with as many steps up and down; None means all steps."""

    start: Match
    end: Match | None = None
    up: int | None = 0
    down: int | None = 0


@record(frozen=True, slots=True, kw_only=True)
class Selector:
    """What all `terms` have in common."""

    terms: tuple[Term, ...]


def parse(text: str) -> Selector:
    """Read one selector. Raises SelectionError that tells the character (from 1) where it goes wrong."""
    if not text.strip():
        raise SelectionError("a selector is empty", help="name a node, or leave it out to select everything")
    terms: list[Term] = []
    offset = 0
    for part in text.split(","):
        start = offset + len(part) - len(part.lstrip())
        if not part.strip():
            raise _wrong(text, offset, "a selector is missing beside ','", "write 'a,b' for what a and b share")
        terms.append(_term(text, part.strip(), start))
        offset += len(part) + 1
    return Selector(terms=tuple(terms))


def _term(text: str, part: str, offset: int) -> Term:
    up: int | None = 0
    down: int | None = 0
    inner, inner_offset = part, offset
    if found := _UP.match(inner):
        up = _steps(text, found.group(1), offset)
        inner, inner_offset = inner[found.end() :], offset + found.end()
    if found := _DOWN.search(inner):
        down = _steps(text, found.group(1), inner_offset + found.start() + 1)
        inner = inner[: found.start()]
    ends = inner.split("~")
    if len(ends) > 2:
        second = inner_offset + len(ends[0]) + len(ends[1]) + 1
        raise _wrong(text, second, "a second '~'", "write two selectors, 'a~b' and 'b~c'")
    start = _match(text, ends[0], inner_offset, beside="before '~'" if len(ends) == 2 else "")
    end = _match(text, ends[1], inner_offset + len(ends[0]) + 1, beside="after '~'") if len(ends) == 2 else None
    return Term(start=start, end=end, up=up, down=down)


def _steps(text: str, digits: str, offset: int) -> int | None:
    if len(digits) > _MOST_DIGITS:
        raise _wrong(text, offset, "the number of steps is too large", "leave the number out to take all steps")
    return int(digits) if digits else None


def _match(text: str, match: str, offset: int, *, beside: str) -> Match:
    written = match.strip()
    if not written:
        place = f" {beside}" if beside else " beside '+'"
        raise _wrong(text, offset, f"a name is missing{place}", "write '+name', 'name+' or 'from~to'")
    prefix, colon, value = written.partition(":")
    if colon and "/" not in prefix:
        return _prefixed(text, prefix, value, offset)
    if "/" in written:
        return Match(method="path", value=project_path(written), text=written)
    return Match(method="name", value=_name(text, written, offset), text=written)


def _prefixed(text: str, prefix: str, value: str, offset: int) -> Match:
    if prefix not in _PREFIXES:
        near = difflib.get_close_matches(prefix.lower(), _PREFIXES, n=1)
        help = f"did you mean '{near[0]}:{value}'?" if near else f"known are {', '.join(_PREFIXES)}"
        raise _wrong(text, offset, f"'{prefix}:' is not a way to select", help)
    if not value:
        raise _wrong(text, offset + len(prefix) + 1, f"a value is missing after '{prefix}:'", _example(prefix))
    method = cast(Method, prefix)
    written = f"{prefix}:{value}"
    match method:
        case "path":
            return Match(method=method, value=project_path(value), text=written)
        case "state":
            _known(text, value, STATES, offset + len(prefix) + 1)
        case "result":
            _known(text, value, tuple(status.value for status in Status), offset + len(prefix) + 1)
        case "tag" | "group" | "name":
            pass
        case _:
            _name(text, value, offset + len(prefix) + 1)
    return Match(method=method, value=value, text=written)


def _example(prefix: str) -> str:
    examples = {"path": "path:models/marts", "state": "state:changed", "result": "result:failed"}
    return f"for example {examples.get(prefix, f'{prefix}:orders')!r}"


def _known(text: str, value: str, values: tuple[str, ...], offset: int) -> None:
    if value not in values:
        near = difflib.get_close_matches(value.lower(), values, n=1)
        help = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(values)}"
        raise _wrong(text, offset, f"{value!r} is not known", help)


def _name(text: str, name: str, offset: int) -> str:
    if (inside := name.find("+")) >= 0:
        raise _wrong(text, offset + inside, "a '+' inside a name", "write '+name', '2+name', 'name+' or 'name+2'")
    if (inside := next((place for place, sign in enumerate(name) if sign.isspace()), -1)) >= 0:
        raise _wrong(text, offset + inside, "a space inside a name", "write several selectors as separate arguments")
    return name


def project_path(path: str) -> str:
    """A path as nodes carry it: no `./`, no double or trailing slash; empty for the project's own folder."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return ("/" if path.startswith("/") else "") + "/".join(parts)


def _wrong(text: str, offset: int, what: str, help: str) -> SelectionError:
    return SelectionError(f"selector {text!r}, character {offset + 1}: {what}", help=help)
