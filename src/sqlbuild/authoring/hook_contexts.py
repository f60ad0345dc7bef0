"""What Python hooks receive: the context of the model that is built, whose connection they use."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, Literal

from sqlbuild.authoring.callers import place_of_caller
from sqlbuild.authoring.contexts import Level, checked_level
from sqlbuild.authoring.pending import Pending
from sqlbuild.authoring.project_vars import ProjectVars
from sqlbuild.authoring.provided import Provided
from sqlbuild.authoring.queries import AsyncQuery, Query, checked_statement
from sqlbuild.domain.record import record
from sqlbuild.domain.results import Skip, SkipMode
from sqlbuild.interfaces.node_session import NodeSession
from sqlbuild.interfaces.warehouse import Parameters
from sqlbuild.refs import Reference


@record(frozen=True, slots=True, kw_only=True)
class HookDestination:
    """The table or view that the model builds; `qualified` is quoted, the others are not."""

    qualified: str
    database: str
    schema: str
    table: str


@record(frozen=True, slots=True, kw_only=True)
class HookCall:
    """Which call of a hook this is."""

    model_name: str
    phase: str
    hook_name: str
    hook_index: int
    adapter_name: str
    destination: HookDestination


class _HookContext:
    """What never waits and is the same for `def` and `async def`."""

    __slots__ = ("_call", "_session")

    def __init__(self, session: NodeSession, call: HookCall) -> None:
        self._session = session
        self._call = call

    @property
    def model_name(self) -> str:
        return self._call.model_name

    @property
    def phase(self) -> str:
        """`pre_hooks` or `post_hooks`."""
        return self._call.phase

    @property
    def hook_name(self) -> str:
        return self._call.hook_name

    @property
    def hook_index(self) -> int:
        """The place in the model's list, from 0."""
        return self._call.hook_index

    @property
    def adapter_name(self) -> str:
        """`duckdb` or `postgres`."""
        return self._call.adapter_name

    @property
    def destination(self) -> HookDestination:
        """What the model builds: `.qualified`, `.database`, `.schema`, `.table`."""
        return self._call.destination

    @property
    def run_id(self) -> str:
        return self._session.facts.run_id

    @property
    def target(self) -> str:
        return self._session.facts.target

    @property
    def vars(self) -> Mapping[str, Any]:
        """The project's vars. Reading a missing one with `[...]` raises MissingVar, a KeyError."""
        return ProjectVars(self._session.facts.vars)

    @property
    def providers(self) -> Provided:
        """The project's shared clients as attributes."""
        return Provided(self._session)

    @property
    def connection(self) -> Any:
        """The warehouse driver's own object, on which the model is built."""
        return self._session.connection()

    def relation(self, ref: Reference) -> str:
        """The quoted, qualified name of what `reads` declares. Raises UndeclaredDependency."""
        return self._session.relation(ref)

    def log(self, message: str, level: Level = "info", **fields: object) -> None:
        """Write a line to the run's output. Raises ValueError for an unknown level."""
        self._session.log(str(message), checked_level(level), fields)

    def skip(self, *, reason: str, mode: Literal["soft", "hard"] | SkipMode = SkipMode.SOFT) -> Skip:
        """Return it: no further hook of this phase runs, and before the model that is not built either."""
        if not isinstance(reason, str):
            raise TypeError(f"ctx.skip(): reason must be a text, not {type(reason).__name__}")
        if mode not in tuple(SkipMode):
            raise ValueError(f'ctx.skip(): mode must be "soft" or "hard", not {mode!r}')
        skip = Skip(reason=reason, mode=SkipMode(mode))
        self._session.note(
            skip, f"ctx.skip(...) at {place_of_caller()} was made but not returned: write `return ctx.skip(...)`"
        )
        return skip


class HookContext(_HookContext):
    """What a `def` hook receives."""

    __slots__ = ()

    def query(self, sql: str, params: Parameters = None) -> Query:
        """Rows of a statement; `params` are bound, never formatted."""
        return Query(self._session, sql, params)

    def execute_sql(self, sql: str, params: Parameters = None) -> None:
        """Run a statement without rows."""
        self._session.wait(self._session.execute, *checked_statement("ctx.execute_sql", sql, params))


class AsyncHookContext(_HookContext):
    """What an `async def` hook receives."""

    __slots__ = ()

    def query(self, sql: str, params: Parameters = None) -> AsyncQuery:
        """Rows of a statement; `params` are bound, never formatted."""
        return AsyncQuery(self._session, sql, params)

    def execute_sql(self, sql: str, params: Parameters = None) -> Coroutine[Any, Any, None]:
        """Run a statement without rows."""
        statement = checked_statement("ctx.execute_sql", sql, params)
        return Pending(self._session, "ctx.execute_sql(...)", self._session.execute, *statement)
