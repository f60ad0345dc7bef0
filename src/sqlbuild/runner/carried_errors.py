"""Exceptions on their way between a run and its worker processes: the same type comes out as went in.

An exception that pickle can rebuild travels as it is. Any other is told by the names of its classes, and rebuilt from
the first of them that the receiver knows, without calling `__init__`; so `retry_on` and `except` find its type. The
author's traceback does not travel with it: it is told as `ErrorFacts`.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from typing import Any

from sqlbuild.domain.record import record
from sqlbuild.errors import NodeError
from sqlbuild.runner.error_facts import text_of


@record(frozen=True, slots=True, kw_only=True)
class CarriedError:
    """`classes` are module and qualified name of its class and what that inherits from, the nearest first."""

    pickled: bytes | None
    message: str
    classes: tuple[tuple[str, str], ...]
    attributes: Mapping[str, bytes]
    members: tuple[CarriedError, ...] = ()


def carry(error: BaseException) -> CarriedError:
    """Plain data of `error`. Never raises."""
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    pickled = _pickled(error)
    attributes = {} if pickled is not None else {name: _pickled(value) for name, value in _attributes(error).items()}
    return CarriedError(
        pickled=pickled,
        message=text_of(error.args[0] if members else error),
        classes=tuple((kind.__module__, kind.__qualname__) for kind in type(error).__mro__ if kind is not object),
        attributes={name: value for name, value in attributes.items() if value is not None},
        members=() if pickled is not None else tuple(carry(member) for member in members),
    )


def uncarry(carried: CarriedError) -> BaseException:
    """The exception again, or one of the nearest class that is known here. Never raises."""
    error = None if carried.pickled is None else _unpickled(carried.pickled)
    if isinstance(error, BaseException):
        return error
    try:
        return _rebuilt(carried)
    except Exception:  # noqa: BLE001 - an author's class may do anything when it is made
        return NodeError(f"{carried.classes[0][1]}: {carried.message}")


def _attributes(error: BaseException) -> Mapping[str, object]:
    return getattr(error, "__dict__", {})


def _pickled(value: object) -> bytes | None:
    try:
        body = pickle.dumps(value, protocol=5)
        loaded = pickle.loads(body)  # noqa: S301 - what was written in the line above
    except Exception:  # noqa: BLE001 - an author's class may raise anything here
        return None
    return body if type(loaded) is type(value) else None


def _unpickled(body: bytes) -> Any:
    try:
        return pickle.loads(body)  # noqa: S301 - from our own child, over a pipe that nobody else has
    except Exception:  # noqa: BLE001 - the class may not be there, or raise anything when it is made
        return None


def _rebuilt(carried: CarriedError) -> BaseException:
    index, known = next(
        (index, kind) for index, name in enumerate(carried.classes) if (kind := _known_class(*name)) is not None
    )
    if index:
        # Its own class cannot be found, such as one made inside of a function: it is still called by its name.
        module, name = carried.classes[0]
        known = type(name.rpartition(".")[2], (known,), {"__module__": module})
    if issubclass(known, BaseExceptionGroup):
        error: BaseException = known(carried.message, [uncarry(member) for member in carried.members])
    else:
        error = known.__new__(known)
        error.args = (carried.message,)
    for name, body in carried.attributes.items():
        value = _unpickled(body)
        if value is not None:
            error.__dict__[name] = value
    return error


def _known_class(module: str, qualified_name: str) -> type[BaseException] | None:
    found: Any = sys.modules.get(module)
    for name in qualified_name.split("."):
        found = getattr(found, name, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None
