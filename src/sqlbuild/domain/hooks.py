"""What runs before and after a model is built."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping

from sqlbuild.domain.ids import Place
from sqlbuild.domain.record import record
from sqlbuild.domain.sql_reference import SqlReference

RUN_ID_MARK = "sqlbuild_run_id_of_hook_9f27c1"
"""Stands in the SQL of a hook where the id of the run belongs, which is only known then."""


class HookPhase(enum.StrEnum):
    PRE = "pre_hooks"
    POST = "post_hooks"


@record(frozen=True, slots=True, kw_only=True)
class SqlHook:
    """One statement; what it reads still stands in it as `__ref("x")` until the project is compiled."""

    phase: HookPhase
    index: int
    """Of the entries of its phase, from 0."""
    sql: str
    name: str = ""
    """Of the file it stands in; empty for one that stands in the model."""
    place: Place
    """Where the statement begins."""
    references: tuple[SqlReference, ...] = ()
    passed: tuple[SqlReference, ...] = ()
    """References that macros were given: the model waits for these too."""

    @property
    def label(self) -> str:
        return f"{self.phase}[{self.index}] " + (f'sql("{self.name}")' if self.name else "inline_sql(...)")


@record(frozen=True, slots=True, kw_only=True)
class PythonHook:
    """A call of a function that `@hook` has decorated."""

    phase: HookPhase
    index: int
    name: str
    place: Place
    arguments: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def label(self) -> str:
        return f'{self.phase}[{self.index}] python("{self.name}")'


ModelHook = SqlHook | PythonHook


@record(frozen=True, slots=True, kw_only=True)
class CompiledHook:
    """A hook as it runs: `sql`, or a call of `function` by name of its parameters.

    `context` is the parameter that receives the context, `providers` are those that receive a provider.
    """

    declared: ModelHook
    place: Place
    """Of the statement, or of the function."""
    sql: str = ""
    function: Callable[..., object] | None = None
    is_async: bool = False
    context: str | None = None
    providers: tuple[str, ...] = ()
