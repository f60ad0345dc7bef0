"""The decorator `@factory`: functions that make nodes, called once while their project is loaded.

The loader calls every factory that nobody has called until all files are imported. A factory that the project's own
code calls before that gives the same nodes as later, so none is made twice.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from types import FunctionType
from typing import Any, TypeVar, overload

from sqlbuild.authoring.callers import frame_of_caller
from sqlbuild.authoring.collecting import Collector, current_collector
from sqlbuild.authoring.factory_calls import Factory
from sqlbuild.authoring.read_options import declared_node
from sqlbuild.domain.ids import Place
from sqlbuild.errors import DeclarationError, Problem

Node = Callable[..., object]
Made = Node | Iterable[Node]
FactoryFunction = Callable[[], Made] | Callable[[], Awaitable[Made]] | Callable[[], AsyncIterable[Node]]
M = TypeVar("M", bound=FactoryFunction)


@overload
def factory(function: M, /) -> M: ...
@overload
def factory() -> Callable[[M], M]: ...
def factory(function: Any = None, /) -> Any:
    """Make a function a factory: it takes no arguments and gives one decorated function, or an iterable of them.

    It may be a `def` or an `async def`, and a generator. While the project is loaded it is called once, on an event loop
    of its own if it is async; every node that is decorated meanwhile is a node of the file that the factory stands in.
    At any other time calling it calls the function. Write `@factory` or `@factory()`.

    Raises DeclarationError (a TypeError) for a function that takes arguments and for what is no function.
    """
    return _factory if function is None else _factory(function)


def _factory(function: Any) -> Any:
    collector = current_collector()
    wrong = _refusal(function)
    if wrong is not None:
        _report(function, wrong, collector)
        return function
    if collector is None:
        return function
    place = _place_of(function, collector)
    home = collector.home or function.__code__.co_filename
    made = Factory(function, place, functools.partial(collector.importing, home, scanned=True, helper=False))
    collector.add_factory(made)
    return _calling(made)


def _refusal(function: object) -> tuple[str, str] | None:
    """Message and help for what cannot be a factory."""
    if not isinstance(function, FunctionType):
        return "only a function can be a factory", "write it as `def make_exports(): ...`"
    if declared_node(function) is not None:
        return f"`{function.__name__}` is a node itself", "a factory makes nodes: decorate them inside of it"
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount - len(function.__defaults__ or ())]
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    wanted = [*positional, *(name for name in keywords if name not in (function.__kwdefaults__ or {}))]
    if wanted:
        shown = ", ".join(f"`{name}`" for name in wanted)
        return (
            f"{function.__name__} takes {shown}, but a factory is called without arguments",
            "give them defaults, or read what it needs inside of it",
        )
    return None


def _calling(made: Factory) -> Callable[[], Any]:
    """A function like the author's that gives what the factory has made."""
    function = made.function
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def yielding() -> AsyncIterator[Any]:
            for node in await made.call_async():
                yield node

        return yielding
    if made.is_async:

        @functools.wraps(function)
        async def waiting() -> Any:
            return await made.call_async()

        return waiting

    @functools.wraps(function)
    def calling() -> Any:
        return made.call()

    return calling


def _place_of(function: FunctionType, collector: Collector) -> Place:
    code = function.__code__
    if collector.home in (None, code.co_filename):
        return collector.place(code.co_filename, code.co_firstlineno)
    return collector.running_place()


def _report(function: object, wrong: tuple[str, str], collector: Collector | None) -> None:
    if collector is not None:
        of_function = isinstance(function, FunctionType)
        place = _place_of(function, collector) if of_function else collector.running_place()  # type: ignore[arg-type]
    else:
        frame = frame_of_caller()
        place = Place(frame.f_code.co_filename, frame.f_lineno)
    message, help = wrong
    problem = Problem(code="FACTORY", message=f"@factory: {message}", help=help, path=place.path, line=place.line)
    if collector is None:
        raise DeclarationError(problem)
    collector.problems.append(problem)
