"""The decorators `@asset`, `@task`, `@loader` and `@check`.

A decorator returns the function itself, with its frozen declaration as an attribute. While a project is loaded, what
is wrong becomes problems of that project, all at once; at any other time it raises DeclarationError, a TypeError.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any, TypeVar, Unpack, overload

from sqlbuild.authoring.callers import frame_of_caller
from sqlbuild.authoring.check_options import (
    CHECK_READERS,
    NOT_FOR_CHECKS,
    CheckFunction,
    CheckOptions,
    without_dependencies,
)
from sqlbuild.authoring.collecting import Collector, current_collector
from sqlbuild.authoring.findings import Finding, Findings
from sqlbuild.authoring.functions import is_async, layers_of, parameters_to_fill, refusal, takes_context
from sqlbuild.authoring.loader_options import LOADER_READERS, LoaderOptions
from sqlbuild.authoring.options import AssetOptions, TaskOptions
from sqlbuild.authoring.read_options import (
    NODE_ATTRIBUTE,
    Reader,
    declared_node,
    read_column_lineage,
    read_columns,
    read_depends_on,
    read_flag,
    read_isolate,
    read_labels,
    read_meta,
    read_name,
    read_options,
    read_pool,
    read_requires,
    read_retry,
    read_text,
    read_timeout,
)
from sqlbuild.domain.ids import NodeKind, Place
from sqlbuild.domain.nodes import Asset, Check, Loader, PythonFunction, PythonNode, Task
from sqlbuild.errors import DeclarationError, Problem

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=CheckFunction)

_TASK_READERS: Mapping[str, Reader] = {
    "name": read_name,
    "depends_on": read_depends_on,
    "tags": read_labels("tags"),
    "group": read_text("group"),
    "description": read_text("description"),
    "meta": read_meta,
    "retry": read_retry,
    "timeout": read_timeout,
    "isolate": read_isolate,
    "pool": read_pool,
    "requires": read_requires,
    "dry_run": read_flag("dry_run"),
}
_ASSET_READERS: Mapping[str, Reader] = {
    **_TASK_READERS,
    "columns": read_columns,
    "column_lineage": read_column_lineage,
}
_READERS: Mapping[NodeKind, Mapping[str, Reader]] = {
    NodeKind.ASSET: _ASSET_READERS,
    NodeKind.TASK: _TASK_READERS,
    NodeKind.LOADER: {
        **{key: reader for key, reader in _TASK_READERS.items() if key != "requires"},
        **LOADER_READERS,
    },
    NodeKind.CHECK: {
        **{key: reader for key, reader in _TASK_READERS.items() if key not in NOT_FOR_CHECKS},
        **CHECK_READERS,
    },
}
_RECORDS: Mapping[NodeKind, Callable[..., PythonNode]] = {
    NodeKind.ASSET: Asset,
    NodeKind.TASK: Task,
    NodeKind.LOADER: Loader,
    NodeKind.CHECK: Check,
}
_OF_THE_KIND = ("column_lineage", *LOADER_READERS, *CHECK_READERS)
"""Parameters that are fields of the kind's own record, not of what all Python nodes have in common."""


@overload
def asset(function: F, /, **options: Unpack[AssetOptions]) -> F: ...
@overload
def asset(**options: Unpack[AssetOptions]) -> Callable[[F], F]: ...
def asset(function: Any = None, /, **options: Any) -> Any:
    """Make a function an asset: a node that produces or observes something outside of the warehouse.

    Write `@asset` or `@asset(...)`. Parameters, all optional:

    name            overrides the function's name; lowercase snake_case, unique over all nodes and sources
    depends_on      a decorated function, `model()`, `source()` or `seed()`, or a list or tuple of them
    columns         `[{"name": ..., "type"?, "nullable"?, "description"?, "meta"?}, ...]`; describes, enforces nothing
    column_lineage  `{column: [{"node": ..., "column": ...}, ...]}`
    tags, group, description, meta
                    labels to select by; a group; documentation (default: the docstring); plain JSON
    retry           a `RetryPolicy`; without it nothing is tried again
    timeout         seconds or a timedelta for one attempt, of an `async def` or with isolate="process"
    isolate         "process": a `def` that runs in a worker process of its own
    pool            name or names of the pools of which the node holds one slot each while it runs
    requires        "any" (default), "all" or "none_failed": what skipped upstreams mean
    dry_run         True: the function honours `ctx.dry_run`, so `sqb build --dry-run` calls it

    Raises DeclarationError (a TypeError) for anything else.
    """
    return _decorate(NodeKind.ASSET, function, options)


@overload
def task(function: F, /, **options: Unpack[TaskOptions]) -> F: ...
@overload
def task(**options: Unpack[TaskOptions]) -> Callable[[F], F]: ...
def task(function: Any = None, /, **options: Any) -> Any:
    """Make a function a task: a node that computes or causes something and produces no tracked artifact.

    Takes what `asset` takes, without `columns` and `column_lineage`. Raises DeclarationError (a TypeError).
    """
    return _decorate(NodeKind.TASK, function, options)


@overload
def loader(function: F, /, **options: Unpack[LoaderOptions]) -> F: ...
@overload
def loader(**options: Unpack[LoaderOptions]) -> Callable[[F], F]: ...
def loader(function: Any = None, /, **options: Any) -> Any:
    """Make a function a loader: a node that fills the managed source of the same name.

    It returns or yields rows (dicts), or batches of them (lists of dicts, Arrow tables and record batches, pandas and
    polars frames), or returns None after it has filled `ctx.destination` itself. `def` and `async def`, with `yield`
    too. Takes what `task` takes without `requires`, and, all of it also in the source's YAML, which wins:

    write_strategy  "table" (default), "append", "delete_insert" or "merge": what the rows do to those there are
    cursor_column   the column that tells how far the table goes; `ctx.current_cursor_value` is its highest value
    unique_key      name or names of the columns that `merge` finds a row by
    destination     the table to fill, instead of the source's
    contract        "enforced": `columns` are all there may be, and those of `"nullable": False` hold no NULL
    columns         `[{"name": ..., "type"?, "nullable"?, ...}, ...]`; values are cast to a declared type

    Raises DeclarationError (a TypeError) for anything else.
    """
    return _decorate(NodeKind.LOADER, function, options)


def check(function: None = None, /, **options: Unpack[CheckOptions]) -> Callable[[C], C]:
    """Make a function a check: a node that says whether what others have made is right. Nothing depends on it.

    It returns True or False, or `ctx.pass_(...)`, `ctx.fail(...)`, `ctx.warn(...)` with a message. It runs as soon as
    what it depends on has succeeded, if any of that is built in the run; a skip among it skips the check. Parameters:

    depends_on      required: a decorated function, `model()`, `source()` or `seed()`, or a list or tuple of them
    severity        "error" (default): a failure fails the run; "warn": it is only told, an exception too
    name, tags, group, description, meta, timeout, isolate, pool, dry_run
                    as of `asset`

    Raises DeclarationError (a TypeError) for anything else.
    """
    decorated: Callable[[C], C] = _decorate(NodeKind.CHECK, function, options)
    return decorated


def declaration_of(function: object) -> PythonNode | None:
    """The declaration of a decorated function; None for everything else, also for a wrapper around one."""
    return declared_node(function)


def wrapper_above(function: FunctionType) -> bool:
    """Whether a module's name for a node stands for a wrapper that another decorator made around it."""
    bound = function.__globals__.get(function.__name__)
    # By type(): asking a foreign object for its __class__ may run code that raises.
    if bound is function or type(bound) not in (FunctionType, functools._lru_cache_wrapper):
        return False
    node: PythonNode | None = vars(bound).get(NODE_ATTRIBUTE)
    return node is not None and node.declared.function is function


def _decorate(kind: NodeKind, function: Any, options: Mapping[str, object]) -> Any:
    if function is not None:
        return _declare(kind, function, options)

    def decorator(function: F) -> F:
        return _declare(kind, function, options)

    return decorator


def _declare(kind: NodeKind, function: F, options: Mapping[str, object]) -> F:
    collector = current_collector()
    findings: Findings = []
    if _can_be_a_node(kind, function, findings):
        assert isinstance(function, FunctionType)
        layers = layers_of(function)
        place = _place_of(layers[-1], collector)
        node = _node(kind, layers, place, options, findings)
        if node is not None and (collector is not None or not findings):
            function.__dict__[NODE_ATTRIBUTE] = node
            if collector is not None:
                collector.add(node, layers[-1])
    else:
        place = _place_of_caller(collector)
    if findings:
        _report(kind, findings, place, collector)
    return function


def _can_be_a_node(kind: NodeKind, function: object, findings: Findings) -> bool:
    refused = refusal(function, may_yield=kind is NodeKind.LOADER)
    if refused is not None:
        findings.append(refused)
        return False
    assert isinstance(function, FunctionType)
    for layer in layers_of(function) if function.__dict__ else ():
        if NODE_ATTRIBUTE in layer.__dict__:
            findings.append(
                Finding(
                    f"`{layer.__name__}` is decorated as a node already",
                    "let one of them stand alone, above all other decorators",
                    code="DECORATED",
                )
            )
            return False
    return True


def _node(
    kind: NodeKind,
    layers: Sequence[FunctionType],
    place: Place,
    options: Mapping[str, object],
    findings: Findings,
) -> PythonNode | None:
    """The declaration, without what is wrong with it; None if it has no usable name."""
    function = layers[0]
    if kind in (NodeKind.TASK, NodeKind.CHECK):
        options = _without_columns(kind, options, findings)
    fields = read_options(options, _READERS[kind], findings)
    if kind is NodeKind.CHECK:
        fields["requires"] = "all"
        findings += filter(None, [without_dependencies(options)])
    name = fields.pop("name", None)
    if name is None and options.get("name") is None:
        name = read_name(function.__name__, findings)
    if name is None:
        return None
    waits = is_async(layers)
    if "isolate" in fields:
        fields["isolated"] = fields.pop("isolate")
    _check_where_it_runs(fields, waits, findings)
    if "description" not in fields and function.__doc__:
        fields["description"] = _cleaned(function.__doc__)
    if "pool" in fields:
        fields["pools"] = fields.pop("pool")
    to_fill = parameters_to_fill(function)
    if to_fill != ((), ()):
        fields["providers"] = (*to_fill[0], *to_fill[1])
    if not takes_context(function):
        fields["takes_context"] = False
    own = {key: fields.pop(key) for key in _OF_THE_KIND if key in fields}
    declared = PythonFunction(function=function, name=name, is_async=waits, place=place, **fields)  # type: ignore[arg-type]
    return _RECORDS[kind](declared=declared, **own)


def _check_where_it_runs(fields: dict[str, object], is_async: bool, findings: Findings) -> None:
    if is_async and fields.pop("isolated", False):
        findings.append(
            Finding(
                "isolate: an `async def` runs on the event loop and cannot be put into a process of its own",
                'make the function `def` and keep isolate="process", or leave it out',
            )
        )
    if "timeout" in fields and not is_async and not fields.get("isolated"):
        del fields["timeout"]
        findings.append(
            Finding(
                "timeout: a `def` runs on a thread, which cannot be stopped",
                'add isolate="process", so that it runs in a process that can be, or make the function `async def`',
            )
        )


def _without_columns(kind: NodeKind, options: Mapping[str, object], findings: Findings) -> Mapping[str, object]:
    given = [key for key in ("columns", "column_lineage") if key in options]
    if not given:
        return options
    findings.append(
        Finding(f"{given[0]}: {kind}s have no columns; use @asset", "declare it with @asset, or leave it out")
    )
    return {key: value for key, value in options.items() if key not in given}


def _cleaned(docstring: str) -> str:
    return inspect.cleandoc(docstring) if "\n" in docstring else docstring.strip()


def _report(kind: NodeKind, findings: Findings, place: Place, collector: Collector | None) -> None:
    problems = [
        Problem(
            code=finding.code,
            message=f"@{kind}: {finding.message}",
            help=finding.help,
            path=place.path,
            line=place.line,
        )
        for finding in findings
    ]
    if collector is None:
        raise DeclarationError(problems)
    collector.problems += problems


def _place_of(inner: FunctionType, collector: Collector | None) -> Place:
    """The first decorator's line; for a function made by another file's code, the line that asked for it."""
    code = inner.__code__
    if collector is None:
        return Place(code.co_filename, code.co_firstlineno)
    if collector.home in (None, code.co_filename):
        return collector.place(code.co_filename, code.co_firstlineno)
    return _place_of_caller(collector)


def _place_of_caller(collector: Collector | None) -> Place:
    if collector is not None:
        return collector.running_place()
    frame = frame_of_caller()
    return Place(frame.f_code.co_filename, frame.f_lineno)
