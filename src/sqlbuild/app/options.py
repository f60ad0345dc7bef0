"""What commands are given, and what most of them work on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from sqlbuild.domain.graph import Graph
from sqlbuild.domain.incremental import NO_REFRESH, Refresh
from sqlbuild.domain.masking import Masker
from sqlbuild.domain.project import Project
from sqlbuild.domain.record import record
from sqlbuild.domain.selection import Selection
from sqlbuild.state.run_journal import RunJournal

Backend = Literal["asyncio", "trio"]


@record(frozen=True, slots=True, kw_only=True)
class ProjectOptions:
    """Which project, and what the command line says about it. `root` is absolute."""

    root: str
    target: str | None = None
    vars: Mapping[str, object] = dataclasses.field(default_factory=dict)
    environ: Mapping[str, str] = dataclasses.field(default_factory=dict)
    masker: Masker = dataclasses.field(default_factory=Masker, compare=False, repr=False)
    """Learns the project's secrets as soon as they are read."""


@record(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Limits override those of the settings; `grace` and `lock_timeout` are seconds."""

    concurrency: int | None = None
    threads: int | None = None
    connections: int | None = None
    fail_fast: bool = False
    strict_async: bool = False
    """An async node that blocks the event loop fails."""
    command: str = "sqb build"
    """What those are told that wait for the target meanwhile."""
    grace: float = 10.0
    lock_timeout: float = 60.0
    backend: Backend = "asyncio"
    debug: bool = False
    reload: bool = False
    """Loaders are told to load everything again."""
    refresh: Refresh = NO_REFRESH
    """What is asked of incremental models."""
    dry_run: bool = False
    """Call only nodes that are declared for it, read what is there, and write nothing."""
    test_timeout: float | None = None
    """Replaces the time limit of every unit test: seconds, infinitely many for none."""
    junit: str | None = None
    """Where the results are written as JUnit XML."""
    vars: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """Those of the command line, kept with the run for whoever goes on with it."""
    resume: RunJournal | None = None
    """The run to go on with; its selection, vars and target are those of the command."""
    force: bool = False
    """Go on with it although a later run has written some of its nodes."""
    embedded: bool = False
    """Part of a process that is not ours: its signals are left alone, and it is never ended."""


@record(frozen=True, slots=True, kw_only=True)
class Compiled:
    project: Project
    graph: Graph
    masker: Masker = dataclasses.field(default_factory=Masker, compare=False, repr=False)

    def for_run_of(self, selection: Selection) -> Compiled:
        """Without what is known of the project's code, unless the run has to compile it again."""
        if selection.defer_to is not None:
            return self
        return dataclasses.replace(self, project=dataclasses.replace(self.project, code={}))
