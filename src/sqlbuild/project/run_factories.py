"""Calls the factories of a project that is being loaded, and looks at what they give."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType
from typing import Any

import anyio
import anyio.lowlevel

from sqlbuild.authoring.collecting import Collector, adding_to
from sqlbuild.authoring.declare import declaration_of
from sqlbuild.authoring.factory_calls import Factory
from sqlbuild.errors import Problem


def run_factory(factory: Factory, collector: Collector) -> Iterator[Problem]:
    """Call it to its end, on an event loop of its own if it is async. Raises whatever it raises."""
    made = _run_to_its_end(factory.call_async, collector) if factory.is_async else factory.call()
    wrong = _wrong_with(made, factory.name)
    if wrong is not None:
        message, help = wrong
        place = factory.place
        yield Problem(code="FACTORY", message=message, help=help, path=place.path, line=place.line)


def _wrong_with(made: Any, name: str) -> tuple[str, str] | None:
    """Message and help if it is neither a decorated function nor an iterable of them."""
    if declaration_of(made) is not None:
        return None
    listed = "return the decorated functions, one or a list of them"
    if made is None:
        return f"the factory {name} returned nothing", listed
    if isinstance(made, dict):
        return f"the factory {name} returned a dict", f"{listed}: list(....values())"
    if isinstance(made, FunctionType):
        return _undecorated(made, f"the factory {name} returned")
    if isinstance(made, str) or not isinstance(made, Iterable):
        return f"the factory {name} returned an object of type {type(made).__qualname__}", listed
    for number, each in enumerate(made, 1):
        if declaration_of(each) is not None:
            continue
        what = f"number {number} of what the factory {name} gave is"
        if isinstance(each, FunctionType):
            return _undecorated(each, what)
        return f"{what} an object of type {type(each).__qualname__}", listed
    return None


def _undecorated(function: FunctionType, what: str) -> tuple[str, str]:
    return f"{what} `{function.__name__}`, which is not a node", "decorate it, for example with @asset or @task"


def _run_to_its_end(function: Callable[[], Any], collector: Collector) -> Any:
    if not _loop_is_running():
        return anyio.run(function)
    # The caller's loop cannot wait for another one on its own thread.
    ended: list[tuple[Any, BaseException | None]] = []

    def run() -> None:
        try:
            # Not in a copy of this context, which says that an event loop runs.
            with adding_to(collector):
                ended.append((anyio.run(function), None))
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits
            ended.append((None, error))

    thread = threading.Thread(target=run, name="sqlbuild-factory", daemon=True)
    thread.start()
    thread.join()
    made, error = ended[0]
    if error is not None:
        raise error
    return made


def _loop_is_running() -> bool:
    try:
        anyio.lowlevel.current_token()
    except RuntimeError:
        return False
    return True
