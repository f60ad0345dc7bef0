"""The decorator `@hook`, and how a hook's function is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any, TypeVar, overload

from sqlbuild.authoring.functions import is_async, layers_of
from sqlbuild.domain.ids import Place
from sqlbuild.domain.nodes import PythonFunction
from sqlbuild.errors import DeclarationError, Problem
from sqlbuild.refs import Reference

F = TypeVar("F", bound=Callable[..., object])

CONTEXT_NAMES = ("ctx", "context", "_ctx", "hook_context")
_MARK = "__sqlbuild_hook__"


@overload
def hook(function: F, /) -> F: ...
@overload
def hook(
    *, name: str | None = None, description: str | None = None, reads: Reference | Sequence[Reference] = ()
) -> Callable[[F], F]: ...
def hook(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    reads: Reference | Sequence[Reference] = (),
) -> Any:
    """Make a function, `def` or `async def`, a hook that models name as `python("name", ...)` in their header.

    It returns None or `ctx.skip(...)`. Parameters:

    name            default: the function's name
    description     default: its docstring
    reads           `model()`, `source()` or `seed()`, or a list of them: the model waits for them too, and
                    `ctx.relation(...)` gives their names

    Raises DeclarationError (a TypeError) for anything else.
    """

    def decorate(target: F) -> F:
        target.__dict__[_MARK] = _declared(target, name, description, reads)
        return target

    return decorate if function is None else decorate(function)


def declared_hook(function: object) -> PythonFunction | None:
    """What `@hook` has made of a function; None for any other object."""
    found = getattr(function, "__dict__", {}).get(_MARK)
    return found if isinstance(found, PythonFunction) else None


def _declared(target: object, name: object, description: object, reads: object) -> PythonFunction:
    if not isinstance(target, FunctionType):
        raise _refused(
            f"@hook is for functions, not for {target!r}", "decorate a plain `def` or `async def`", Place("")
        )
    inner = layers_of(target)[-1]
    place = Place(inner.__code__.co_filename, inner.__code__.co_firstlineno)
    for what, value in (("name", name), ("description", description)):
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise _refused(f"@hook: {what} must be a text, not {value!r}", f'write for example {what}="..."', place)
    listed = (reads,) if isinstance(reads, Reference) else reads
    if isinstance(listed, str) or not isinstance(listed, Sequence) or not all(isinstance(x, Reference) for x in listed):
        message = f"@hook: reads takes model(), source() and seed(), not {reads!r}"
        raise _refused(message, 'write for example reads=model("orders")', place)
    return PythonFunction(
        function=target,
        name=str(name or target.__name__),
        is_async=is_async(layers_of(target)),
        place=place,
        depends_on=tuple(listed),
        description=str(description or inspect.getdoc(target) or ""),
    )


def _refused(message: str, help: str, place: Place) -> DeclarationError:
    return DeclarationError(
        Problem(code="DECLARATION", message=message, help=help, path=place.path, line=place.line, column=place.column)
    )


def context_parameter(function: Callable[..., object]) -> str | None:
    """The name of the parameter that receives the context."""
    return next((name for name in inspect.signature(function).parameters if name in CONTEXT_NAMES), None)


def provider_parameters(
    function: Callable[..., object], given: Mapping[str, object], providers: Sequence[str]
) -> tuple[str, ...]:
    """Parameters that are given the provider of their name."""
    return tuple(
        name
        for name in inspect.signature(function).parameters
        if name in providers and name not in given and name not in CONTEXT_NAMES
    )


def wrong_arguments(
    function: Callable[..., object], given: Mapping[str, object], providers: Sequence[str]
) -> Iterator[str]:
    """What is wrong with calling a hook with these arguments, in words."""
    parameters = inspect.signature(function).parameters
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    for name in given:
        if name in CONTEXT_NAMES or (name in providers and name in parameters):
            yield f"the argument {name} is given by sqlbuild"
        elif name not in parameters and not takes_any:
            yield f"it has no parameter {name}"
    for name, each in parameters.items():
        needs = each.default is each.empty and each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
        if each.kind is each.POSITIONAL_ONLY and needs:
            yield f"its parameter {name} cannot be given by name"
        elif needs and name not in given and name not in CONTEXT_NAMES and name not in providers:
            yield f"its parameter {name} is given nothing"
