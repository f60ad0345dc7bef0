"""What `build`, `abuild` and `run_node` are given is of the kinds they take."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import SupportsFloat, SupportsIndex, get_args

from sqlbuild.app.options import Backend

_BACKENDS = get_args(Backend)
_Check = Callable[[object], bool]


def check_argument_types(given: Mapping[str, object]) -> None:
    """Raises TypeError for an argument of a wrong kind; names that are not in the table are passed over.

    ValueError is for values of the right kind: a backend that there is not, and vars that JSON cannot hold.
    """
    for name, (takes, is_right) in _TAKES.items():
        if name in given and not is_right(given[name]):
            raise TypeError(f"{name} must be {takes}, not {given[name]!r}")
    backend = given.get("backend", _BACKENDS[0])
    if backend not in _BACKENDS:
        raise ValueError(f"backend must be {' or '.join(map(repr, _BACKENDS))}, not {backend!r}")
    given_vars = given.get("vars")
    if isinstance(given_vars, Mapping):
        for name, value in given_vars.items():
            _check_var(name, value)


def selector_texts(name: str, given: object) -> Sequence[str]:
    """Of `select` and `exclude`: one text, or several. Raises TypeError for anything else."""
    texts = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (None,)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"{name} must be text or several texts, not {given!r}")
    return texts


def _check_var(name: object, value: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"vars must have texts as names, not {name!r}")
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ValueError(
            f"vars[{name!r}] must be text, a finite number, True, False, None, a list or a dict of those, not {value!r}"
        ) from None


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_whole_number(value: object) -> bool:
    return isinstance(value, SupportsIndex) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, SupportsFloat) and not isinstance(value, bool)


def _or_none(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_FLAG = ("True or False", _is_flag)
_LIMIT = ("a whole number or None", _or_none(_is_whole_number))
_SECONDS = ("a number of seconds", _is_number)
_NAME = ("text or None", _or_none(_is_text))
_TAKES: Mapping[str, tuple[str, _Check]] = {
    "project_dir": ("a path", lambda value: isinstance(value, str | os.PathLike)),
    "target": _NAME,
    "vars": ("a dict or None", _or_none(lambda value: isinstance(value, Mapping))),
    "only": _FLAG,
    "changed": _FLAG,
    "defer_to": _NAME,
    "no_python": _FLAG,
    "no_audits": _FLAG,
    "load": ("True, False or None", _or_none(_is_flag)),
    "reload": _FLAG,
    "allow_empty": _FLAG,
    "dry_run": _FLAG,
    "resume": ("True, False or the id of a run", lambda value: isinstance(value, bool | str)),
    "force": _FLAG,
    "concurrency": _LIMIT,
    "threads": _LIMIT,
    "connections": _LIMIT,
    "fail_fast": _FLAG,
    "strict_async": _FLAG,
    "lock_timeout": _SECONDS,
    "grace": _SECONDS,
    "on_event": ("a function or None", _or_none(callable)),
    "output": ("a text stream or None", _or_none(lambda value: callable(getattr(value, "write", None)))),
}
