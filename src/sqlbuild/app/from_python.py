"""Builds from Python: `sqlbuild.build` and `sqlbuild.abuild`.

In a process that is not ours: no signal handler is installed, nothing is printed, and what a project puts into the
process (its modules, a finder, a place on the import path, the working directory) is taken back when the call ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TextIO

import anyio.lowlevel
import anyio.to_thread

from sqlbuild.app.building import build as run_build
from sqlbuild.app.building import build_here
from sqlbuild.app.opening import close_project, open_project
from sqlbuild.app.options import Backend, ProjectOptions, RunOptions
from sqlbuild.app.project_root import find_root
from sqlbuild.app.python_arguments import check_argument_types, selector_texts
from sqlbuild.app.resuming import find_run, options_of_run, selection_of_run
from sqlbuild.app.run_output import captured_logging, captured_output, plain_sink
from sqlbuild.domain.events import Event
from sqlbuild.domain.record import record
from sqlbuild.domain.results import RunResult
from sqlbuild.domain.selection import Selection, split_selectors
from sqlbuild.errors import Problem, ProjectAlreadyOpen, SqlbuildError
from sqlbuild.interfaces.event_sink import EventSink

# Modules, the import path and the working directory are one for the whole process, and so is this.
_process_is_free = threading.Lock()


def build(
    project_dir: str | os.PathLike[str] = ".",
    *,
    select: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    target: str | None = None,
    vars: Mapping[str, object] | None = None,
    only: bool = False,
    changed: bool = False,
    defer_to: str | None = None,
    no_python: bool = False,
    no_audits: bool = False,
    load: bool | None = None,
    reload: bool = False,
    allow_empty: bool = False,
    dry_run: bool = False,
    resume: bool | str = False,
    force: bool = False,
    concurrency: int | None = None,
    threads: int | None = None,
    connections: int | None = None,
    fail_fast: bool = False,
    strict_async: bool = False,
    lock_timeout: float = 60.0,
    grace: float = 10.0,
    backend: Backend = "asyncio",
    on_event: Callable[[Event], object] | None = None,
    output: TextIO | None = None,
) -> RunResult:
    """Build the project in or around `project_dir`, as `sqb build` does, and return how every node ended.

    A node that fails does not raise: look at `.ok`, `.failures`, `.exit_code`, or call `.raise_for_failures()`.

    select, exclude     selectors as `sqb build` takes them: one text, or several; nothing selected is everything
    target, vars        a target of the settings; variables over those of the settings
    only                add no upstream that the target lacks
    changed             of all this only what is not up to date, and what depends on that
    defer_to            the target at which everything that is not selected is read, as far as it has it
    no_python           leave out assets, tasks and checks; what loaders need still runs
    no_audits           leave out audits and checks
    load, reload        run loaders or none of them, instead of what the settings say; tell them to load everything again
    allow_empty         a selection without any node is no error
    dry_run             write nothing: check SQL, and call only nodes that are declared with `dry_run=True`
    resume, force       go on with the last run that did not succeed, or with the one of that id; also if a later run has
                        written some of its nodes
    concurrency, threads, connections
                        limits of this run instead of those of the settings
    fail_fast           stop at the first failure
    strict_async        an async node that blocks the event loop fails
    lock_timeout        seconds to wait for a target that another process writes to
    grace               seconds to wait for threads when the run is stopped
    backend             the event loop that runs it
    on_event            called with every event (see `sqlbuild.events`), one after the other, on a thread of its own;
                        one that raises is told on stderr and not called again
    output              a text stream that gets what `sqb build` prints

    While it lasts the working directory is the project's root. Raises ProjectError with every problem of the project,
    ProjectAlreadyOpen if another build runs in this process, SelectionError, TargetLocked, WarehouseUnreachable,
    EngineError, TypeError and ValueError for arguments that make no sense, and RuntimeError inside a running event
    loop: `await sqlbuild.abuild(...)` there.
    """
    check_argument_types(locals())
    if _loop_is_running():
        raise RuntimeError(
            "sqlbuild.build() was called inside a running event loop (as in a notebook): "
            "write `await sqlbuild.abuild(...)` instead"
        )
    project = _project(project_dir, target, vars)
    selection = _selection(
        select,
        exclude,
        only=only,
        changed=changed,
        defer_to=defer_to,
        no_python=no_python,
        no_audits=no_audits,
        load=_load(load, reload),
        allow_empty=allow_empty,
    )
    options = _checked(
        RunOptions(
            concurrency=concurrency,
            threads=threads,
            connections=connections,
            fail_fast=fail_fast,
            strict_async=strict_async,
            lock_timeout=lock_timeout,
            grace=grace,
            backend=backend,
            reload=reload,
            dry_run=dry_run,
            force=force,
        )
    )
    asked = _asked(project, selection, options, resume)
    with _project_in_process(asked.project):
        compiled = open_project(asked.project).for_run_of(asked.selection)
        with captured_output(masker=compiled.masker), captured_logging():
            return run_build(compiled, asked.selection, asked.options, _sinks(on_event, output))


async def abuild(
    project_dir: str | os.PathLike[str] = ".",
    *,
    select: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    target: str | None = None,
    vars: Mapping[str, object] | None = None,
    only: bool = False,
    changed: bool = False,
    defer_to: str | None = None,
    no_python: bool = False,
    no_audits: bool = False,
    load: bool | None = None,
    reload: bool = False,
    allow_empty: bool = False,
    dry_run: bool = False,
    resume: bool | str = False,
    force: bool = False,
    concurrency: int | None = None,
    threads: int | None = None,
    connections: int | None = None,
    fail_fast: bool = False,
    strict_async: bool = False,
    lock_timeout: float = 60.0,
    grace: float = 10.0,
    on_event: Callable[[Event], object] | None = None,
    output: TextIO | None = None,
) -> RunResult:
    """`build` on the event loop that is running: asyncio (with uvloop or not, also a notebook's) or trio.

    Takes what `build` takes, without `backend`, and raises what it raises. Cancelling it stops the run as Ctrl-C does:
    async nodes are cancelled, SQL is interrupted, threads are waited for up to `grace` seconds, journal and state are
    written; then the cancellation goes on. The project's files are imported on a worker thread.
    """
    check_argument_types(locals())
    project = _project(project_dir, target, vars)
    selection = _selection(
        select,
        exclude,
        only=only,
        changed=changed,
        defer_to=defer_to,
        no_python=no_python,
        no_audits=no_audits,
        load=_load(load, reload),
        allow_empty=allow_empty,
    )
    options = _checked(
        RunOptions(
            concurrency=concurrency,
            threads=threads,
            connections=connections,
            fail_fast=fail_fast,
            strict_async=strict_async,
            lock_timeout=lock_timeout,
            grace=grace,
            reload=reload,
            dry_run=dry_run,
            force=force,
        )
    )
    asked = _asked(project, selection, options, resume)
    with _project_in_process(asked.project):
        # Where no event loop runs, as in `sqb build`: a file of the project may start one while it is imported.
        compiled = await anyio.to_thread.run_sync(open_project, asked.project)
        with captured_output(masker=compiled.masker), captured_logging():
            return await build_here(compiled, asked.selection, asked.options, _sinks(on_event, output))


def _project(
    project_dir: str | os.PathLike[str], target: str | None, vars: Mapping[str, object] | None
) -> ProjectOptions:
    if _process_is_free.locked():
        # The other build has changed the working directory, so a relative path would mean another place.
        raise _already_open(os.fspath(project_dir))
    root = find_root(os.fspath(project_dir))
    return ProjectOptions(root=root, target=target, vars=dict(vars or {}), environ=dict(os.environ))


def _selection(
    select: str | Iterable[str],
    exclude: str | Iterable[str],
    *,
    only: bool,
    changed: bool,
    defer_to: str | None,
    no_python: bool,
    no_audits: bool,
    load: bool | None,
    allow_empty: bool,
) -> Selection:
    return Selection(
        select=split_selectors(selector_texts("select", select)),
        exclude=split_selectors(selector_texts("exclude", exclude)),
        only=only,
        changed=changed,
        defer_to=defer_to,
        no_python=no_python,
        no_checks=no_audits,
        load=load,
        allow_empty=allow_empty,
    )


@record(frozen=True, slots=True, kw_only=True)
class _Asked:
    project: ProjectOptions
    selection: Selection
    options: RunOptions


def _asked(project: ProjectOptions, selection: Selection, options: RunOptions, resume: bool | str) -> _Asked:
    """What is to be run: what was asked for, or what the run was asked for that is resumed."""
    options = dataclasses.replace(options, embedded=True, command="sqlbuild.build", vars=project.vars)
    if resume is False:
        if options.force:
            raise ValueError("force=True goes with resume")
        return _Asked(project=project, selection=selection, options=options)
    if selection != Selection() or options.reload or options.dry_run:
        raise ValueError("resume goes on with what a run was asked for: give nothing with it that selects or loads")
    run = find_run(project, resume if isinstance(resume, str) else None)
    project = options_of_run(project, run)
    options = dataclasses.replace(
        options, resume=run, reload=bool(run.request and run.request["reload"]), vars=project.vars
    )
    return _Asked(project=project, selection=selection_of_run(run), options=options)


def _load(load: bool | None, reload: bool) -> bool | None:
    if reload and load is False:
        raise ValueError("reload=True and load=False contradict each other: give one of them")
    return True if reload else load


def _checked(options: RunOptions) -> RunOptions:
    """Raises ValueError for a limit that makes no sense."""
    for name in ("concurrency", "threads", "connections"):
        limit = getattr(options, name)
        if limit is not None and limit < 1:
            raise ValueError(f"{name} must be 1 or more, not {limit}")
    for name in ("lock_timeout", "grace"):
        seconds = getattr(options, name)
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"{name} must be a number of seconds of at least 0, not {seconds}")
    return options


@contextlib.contextmanager
def _project_in_process(project: ProjectOptions) -> Iterator[None]:
    """While it lasts the process works in the project and for nobody else's; afterwards it is as it was before."""
    if not _process_is_free.acquire(blocking=False):
        raise _already_open(project.root)
    try:
        with _working_directory(project.root):
            try:
                yield
            except SqlbuildError as error:
                if error.help:
                    error.add_note(f"help: {error.help}")
                raise
            finally:
                close_project(project.root)
    finally:
        _process_is_free.release()


def _already_open(path: str) -> ProjectAlreadyOpen:
    return ProjectAlreadyOpen(
        Problem(
            code="ALREADY_OPEN",
            message=f"another build runs in this process, so {path} cannot be opened",
            help="wait for its end; for builds at the same time use a process for each",
        )
    )


@contextlib.contextmanager
def _working_directory(path: str) -> Iterator[None]:
    try:
        before = os.getcwd()
    except FileNotFoundError:
        before = None
    os.chdir(path)
    try:
        yield
    finally:
        if before is not None:
            with contextlib.suppress(OSError):  # it was removed meanwhile
                os.chdir(before)


def _sinks(on_event: Callable[[Event], object] | None, output: TextIO | None) -> list[EventSink]:
    sinks: list[EventSink] = []
    if on_event is not None:
        sinks.append(_EventCallback(on_event))
    if output is not None:
        sinks.append(plain_sink(output, colour=False, verbose=False, quiet=False))
    return sinks


class _EventCallback:
    """`sqlbuild.interfaces.event_sink.EventSink` that is one function."""

    def __init__(self, on_event: Callable[[Event], object]) -> None:
        self._on_event = on_event

    def handle(self, event: Event) -> None:
        self._on_event(event)

    def tick(self) -> None:
        """Nothing is drawn."""

    def close(self) -> None:
        """Nothing is held."""


def _loop_is_running() -> bool:
    try:
        anyio.lowlevel.current_token()
    except RuntimeError:
        return False
    return True
