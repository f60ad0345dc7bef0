"""Looks at the function under a decorator: whether it can be a node, how it is called, what its context must be."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Iterator, Sequence
from types import FunctionType

from sqlbuild.authoring.code_reads import cell_values
from sqlbuild.authoring.contexts import (
    AssetContext,
    AsyncAssetContext,
    AsyncCheckContext,
    AsyncTaskContext,
    CheckContext,
    TaskContext,
)
from sqlbuild.authoring.findings import Finding
from sqlbuild.authoring.loader_contexts import AsyncLoaderContext, LoaderContext
from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.nodes import PythonFunction
from sqlbuild.errors import Problem

_CONTEXTS: dict[type, tuple[NodeKind, bool]] = {
    AssetContext: (NodeKind.ASSET, False),
    AsyncAssetContext: (NodeKind.ASSET, True),
    TaskContext: (NodeKind.TASK, False),
    AsyncTaskContext: (NodeKind.TASK, True),
    LoaderContext: (NodeKind.LOADER, False),
    AsyncLoaderContext: (NodeKind.LOADER, True),
    CheckContext: (NodeKind.CHECK, False),
    AsyncCheckContext: (NodeKind.CHECK, True),
}
_BY_KIND = {key: context.__name__ for context, key in _CONTEXTS.items()}
_COLLECT = "collect the values in a list and return it"
_ASYNC = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_BY_NAME = {context.__name__: context for context in _CONTEXTS}


def layers_of(function: FunctionType) -> tuple[FunctionType, ...]:
    """The function itself, then what it wraps, from the outside in, as `__wrapped__` tells.

    The last one is the function whose source the author wrote as the node.
    """
    layers = [function]
    layer = function.__dict__.get("__wrapped__")
    while isinstance(layer, FunctionType) and layer not in layers:
        layers.append(layer)
        layer = layer.__dict__.get("__wrapped__")
    return tuple(layers)


def signature_layer(function: FunctionType) -> FunctionType:
    """The layer that names the parameters: the outermost one that does not just pass `*args` on."""
    layers = layers_of(function)
    for layer in layers:
        if layer.__code__.co_argcount or not layer.__code__.co_flags & inspect.CO_VARARGS:
            return layer
    return layers[-1]


def is_async(layers: Sequence[FunctionType]) -> bool:
    """Whether calling the function with these layers gives something to await, or to go through with `async for`.

    A plain wrapper around an `async def` counts as async: it hands on the coroutine that it gets.
    """
    for layer in layers:
        if layer.__code__.co_flags & _ASYNC or (layer.__dict__ and inspect.iscoroutinefunction(layer)):
            return True
    return False


def takes_context(function: Callable[..., object]) -> bool:
    """Whether a node's function is called with its context: it has a positional parameter without a default."""
    if not isinstance(function, FunctionType):
        return True
    layer = signature_layer(function) if "__wrapped__" in function.__dict__ else function
    code = layer.__code__
    return code.co_argcount > len(layer.__defaults__ or ()) or bool(code.co_flags & inspect.CO_VARARGS)


def refusal(target: object, *, may_yield: bool = False) -> Finding | None:
    """Why `target` cannot be a node at all; `may_yield` of a kind of node that can be a generator."""
    if not isinstance(target, FunctionType):
        return _refusal_of_object(target)
    layers = layers_of(target)
    inner = layers[-1]
    if inner.__code__.co_name == "<lambda>":
        return _refused("a lambda cannot be a node", "write it as `def name(ctx): ...`")
    for layer in () if may_yield else layers:
        if layer.__code__.co_flags & inspect.CO_ASYNC_GENERATOR:
            return _refused("an async generator (an `async def` with `yield`) cannot be a node", _COLLECT)
        if layer.__code__.co_flags & inspect.CO_GENERATOR:
            return _refused("a generator (a `def` with `yield`) cannot be a node", _COLLECT)
    wrapped = inner.__dict__.get("__wrapped__")
    if wrapped is not None and not isinstance(wrapped, FunctionType):
        return _refused(
            f"the decorated function wraps {_described(wrapped)}, not a function", "put a plain function under it"
        )
    if inner is target and inner.__closure__ and _passes_on_a_coroutine(inner):
        return _refused(
            "a wrapper around an `async def` does not say what it wraps",
            "use functools.wraps(...) in the decorator between, so that it keeps __wrapped__",
        )
    return None


def _refusal_of_object(target: object) -> Finding:
    if isinstance(target, type):
        return _refused("a class cannot be a node", "decorate a function that uses the class")
    if isinstance(target, staticmethod | classmethod | property) or inspect.ismethod(target):
        return _refused(f"{_described(target)} cannot be a node", "decorate a function of the module that calls it")
    if isinstance(target, str):
        return _refused("the decorator was given a text instead of a function", f"give it as name={target!r}")
    return _refused(f"{_described(target)} cannot be a node", "decorate a plain `def` or `async def` that calls it")


def _refused(message: str, help: str) -> Finding:
    return Finding(message, help, code="DECORATED")


def _described(target: object) -> str:
    kind = type(target)
    if kind.__name__ in ("staticmethod", "classmethod", "property", "method"):
        return f"a {kind.__name__}"
    if kind.__module__ == "functools" and kind.__name__ == "partial":
        return "a functools.partial"
    return f"an object of type {kind.__qualname__}"


def _passes_on_a_coroutine(function: FunctionType) -> bool:
    """A plain `wrapper(*args)` that closes over an `async def`: nothing tells whether it awaits it."""
    code = function.__code__
    if code.co_argcount or not code.co_flags & inspect.CO_VARARGS or inspect.iscoroutinefunction(function):
        return False
    return any(inspect.iscoroutinefunction(value) for value in cell_values(function))


def parameters_to_fill(function: FunctionType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The parameters after the context that have no default: those given by position, and those by name."""
    layer = signature_layer(function)
    code = layer.__code__
    positional = code.co_varnames[1 : code.co_argcount - len(layer.__defaults__ or ())]
    if not code.co_kwonlyargcount:
        return positional, ()
    given = layer.__kwdefaults__ or {}
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    return positional, tuple([name for name in keywords if name not in given])


def signature_problems(declared: PythonFunction, kind: NodeKind, providers: Collection[str] = ()) -> list[Problem]:
    """What is wrong with the parameters of a node's function and the annotation of its context.

    `providers` are the names of the project's providers, which parameters may have.
    """
    function = declared.function
    if not isinstance(function, FunctionType):
        return []
    layer = signature_layer(function)
    found = [*_parameters_without_value(declared, providers), *_wrong_context(layer, declared, kind)]
    place = declared.place
    return [
        Problem(code=each.code, message=each.message, help=each.help, path=place.path, line=place.line)
        for each in found
    ]


def _parameters_without_value(declared: PythonFunction, providers: Collection[str]) -> Iterator[Finding]:
    for name in declared.providers:
        if name in providers:
            continue
        near = difflib.get_close_matches(name, providers, n=1)
        if near:
            help = f"did you mean the provider `{near[0]}`?"
        elif providers:
            help = f"the providers are {', '.join(providers)}; give it a default, as in `{name}={name}`, or remove it"
        else:
            help = f"a node gets its context only; give it a default, as in `{name}={name}`, or remove it"
        yield Finding(f"{declared.name}: nothing is given to the parameter `{name}`", help, code="PARAMETER")


def _wrong_context(layer: FunctionType, declared: PythonFunction, kind: NodeKind) -> Iterator[Finding]:
    code = layer.__code__
    if not code.co_argcount:
        return
    annotated = _annotated_context(layer, code.co_varnames[0])
    if annotated is None:
        return
    is_kind, is_waiting = _CONTEXTS[annotated]
    wanted = _BY_KIND[kind, declared.is_async]
    if is_kind is not kind:
        yield Finding(
            f"{declared.name} is declared with @{kind} but its context is annotated {annotated.__name__}",
            f"annotate it {wanted}, or declare it with @{is_kind}",
            code="CONTEXT_KIND",
        )
    elif is_waiting != declared.is_async:
        written, other = ("async def", "def") if declared.is_async else ("def", "async def")
        yield Finding(
            f"{declared.name} is `{written}` but its context is annotated {annotated.__name__}",
            f"annotate it {wanted}, or make the function `{other}`",
            code="CONTEXT_KIND",
        )


def _annotated_context(layer: FunctionType, parameter: str) -> type | None:
    """The context class that a parameter is annotated with; None for anything else, also what cannot be resolved."""
    try:
        annotation = layer.__annotations__.get(parameter)
    except (NameError, AttributeError):  # evaluated only now since Python 3.14, with names for type checkers alone
        return None
    if isinstance(annotation, str):
        name = annotation.strip("'\" ")
        annotation = layer.__globals__.get(name)
        if annotation is None:
            return _BY_NAME.get(name.rpartition(".")[2])
    return annotation if isinstance(annotation, type) and annotation in _CONTEXTS else None
