"""Every exception of the package can be copied and pickled: it may leave a process of somebody else's pool."""

import copy
import importlib
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sqlbuild
from sqlbuild import errors
from sqlbuild.drivers.postgres_server_copy import _TooLargeRow
from sqlbuild.project.import_finder import NameTaken
from sqlbuild.retries import RetryAfter

PROBLEMS = tuple(errors.Problem(code="X", message=message, help="mend it") for message in ("one", "two"))
MADE: dict[type[BaseException], Callable[[], BaseException]] = {
    errors.ProjectError: lambda: errors.ProjectError(PROBLEMS),
    errors.ProjectAlreadyOpen: lambda: errors.ProjectAlreadyOpen(PROBLEMS[0]),
    errors.DeclarationError: lambda: errors.DeclarationError(PROBLEMS),
    errors.ExtraNotInstalled: lambda: errors.ExtraNotInstalled(PROBLEMS),
    errors.WarehouseError: lambda: errors.WarehouseError("wrong", help="mend it", sql="SELECT", transient=True),
    errors.RowRefused: lambda: errors.RowRefused("too long", 3_000, help="mend it"),
    errors.SeedError: lambda: errors.SeedError("wrong", help="mend it", path="seeds/a.csv", line=3),
    errors.NodeCancelled: lambda: errors.NodeCancelled("stopped"),
    RetryAfter: lambda: RetryAfter(3, "wait"),
    _TooLargeRow: lambda: _TooLargeRow(3),
    NameTaken: lambda: NameTaken("taken", "assets/a.py", 3),
}
WAYS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol))
        for protocol in (0, 2, pickle.HIGHEST_PROTOCOL)
    },
}


def _classes_below(base: type[BaseException]) -> Iterator[type[BaseException]]:
    for cls in type.__subclasses__(base):
        yield cls
        yield from _classes_below(cls)


def _own_classes() -> list[type[BaseException]]:
    for module in pkgutil.walk_packages(sqlbuild.__path__, "sqlbuild."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
    own = {cls for cls in _classes_below(BaseException) if cls.__module__.split(".")[0] == "sqlbuild"}
    return sorted(own, key=lambda cls: (cls.__module__, cls.__qualname__))


def _made(cls: type[BaseException]) -> BaseException:
    if cls in MADE:
        return MADE[cls]()
    if issubclass(cls, errors.SqlbuildError):
        return cls("wrong", help="mend it")  # type: ignore[call-arg]
    error = cls.__new__(cls)
    error.args = ("wrong",)
    return error


def _told(error: BaseException) -> tuple[object, ...]:
    problems = error.problems if isinstance(error, errors.SqlbuildError) else ()
    return type(error), str(error), error.args, error.__dict__, problems, getattr(error, "path", None)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cls", _own_classes(), ids=lambda cls: f"{cls.__module__}.{cls.__qualname__}")
def test_a_copy_of_an_exception_says_what_the_original_says(cls, way):
    error = _made(cls)
    error.add_note("row 3")
    error.added = {"by": "an author"}  # type: ignore[attr-defined]
    assert _told(WAYS[way](error)) == _told(error)


class Refused(errors.NodeError):
    """One of a project, made of what its author likes."""

    def __init__(self, order: int, *, reason: str) -> None:
        super().__init__(f"order {order} was refused: {reason}", help="call them")
        self.order = order


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_class_of_an_author_that_takes_something_else_is_copied_as_well(way):
    error = Refused(7, reason="no money")
    assert _told(way(error)) == _told(error)
    assert way(error).order == 7
