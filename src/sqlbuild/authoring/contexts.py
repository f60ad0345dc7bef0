"""The contexts that nodes receive: thin faces over one `NodeSession`, for `def` and for `async def`.

The names and arguments are the same on both sides. What waits on the warehouse is awaited on the async side.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Literal, TypeVar, overload

from sqlbuild.authoring.callers import place_of_caller
from sqlbuild.authoring.doing_much import Awaiting, Blocking, Checkpoints, keep_checkpoint
from sqlbuild.authoring.pending import Pending
from sqlbuild.authoring.project_vars import ProjectVars
from sqlbuild.authoring.provided import Provided
from sqlbuild.authoring.queries import AsyncQuery, Query, checked_statement
from sqlbuild.domain.results import CheckResult, NodeValue, Skip, SkipMode, UpstreamResult, Verdict
from sqlbuild.errors import UpstreamHasNoResult
from sqlbuild.interfaces.node_session import NodeSession
from sqlbuild.interfaces.warehouse import Parameters
from sqlbuild.refs import Reference

D = TypeVar("D")
Level = Literal["debug", "info", "warning", "error", "critical"]

_LEVELS = ("debug", "info", "warning", "error", "critical")
_REQUIRED = object()


class NodeContext:
    """What never waits and is the same in every context."""

    __slots__ = ("_session",)

    def __init__(self, session: NodeSession) -> None:
        self._session = session

    @property
    def run_id(self) -> str:
        return self._session.facts.run_id

    @property
    def node_name(self) -> str:
        return self._session.facts.node_name

    @property
    def attempt(self) -> int:
        """1 for the first attempt."""
        return self._session.facts.attempt

    @property
    def target(self) -> str:
        return self._session.facts.target

    @property
    def vars(self) -> Mapping[str, Any]:
        """The project's vars, with the target's and the command line's over them. Reading a missing one with `[...]`
        raises MissingVar, a KeyError."""
        return ProjectVars(self._session.facts.vars)

    @property
    def is_reload(self) -> bool:
        return self._session.facts.is_reload

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be changed: `sqb build --dry-run`, which calls only nodes declared with dry_run=True."""
        return self._session.facts.dry_run

    @property
    def idempotency_key(self) -> str:
        """32 hexadecimal digits, the same for every attempt of this node in this run and when the run is resumed, and
        never for anything else: hand it to services that do a request with a known key only once."""
        return self._session.facts.idempotency_key

    @property
    def providers(self) -> Provided:
        """The project's shared clients as attributes, for example `ctx.providers.crm_client`."""
        return Provided(self._session)

    @property
    def connection(self) -> Any:
        """The warehouse driver's own object, for what the other members do not cover."""
        return self._session.connection()

    def skip(
        self, reason: str, mode: Literal["soft", "hard"] | SkipMode = SkipMode.SOFT, metadata: object = None
    ) -> Skip:
        """Return it to skip this node. `hard` blocks what depends on it, `soft` leaves that to their `requires`."""
        if not isinstance(reason, str):
            raise TypeError(f"ctx.skip(): reason must be a text, not {type(reason).__name__}")
        if mode not in tuple(SkipMode):
            raise ValueError(f'ctx.skip(): mode must be "soft" or "hard", not {mode!r}')
        skip = Skip(reason=reason, mode=SkipMode(mode), metadata=metadata)
        self._session.note(
            skip, f"ctx.skip(...) at {place_of_caller()} was made but not returned: write `return ctx.skip(...)`"
        )
        return skip

    @overload
    def result_of(self, node_function: Callable[..., object]) -> UpstreamResult: ...
    @overload
    def result_of(self, node_function: Callable[..., object], default: D) -> UpstreamResult | D: ...
    def result_of(self, node_function: Callable[..., object], default: Any = _REQUIRED) -> Any:
        """The result of a declared upstream: `.payload .metadata .status .ts .run_id .materialized`.

        Raises UndeclaredDependency, and UpstreamHasNoResult unless `default` is given.
        """
        try:
            return self._session.result_of(node_function)
        except UpstreamHasNoResult:
            if default is _REQUIRED:
                raise
            return default

    def relation(self, ref: Reference) -> str:
        """The quoted, qualified name of a declared `model()`, `source()` or `seed()`. Raises UndeclaredDependency."""
        return self._session.relation(ref)

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Show how far the node is, in units of its own."""
        for name, value in (("done", done), ("total", total)):
            if not isinstance(value, int | float) and not (name == "total" and value is None):
                raise TypeError(f"ctx.progress(): {name} must be a number, not {type(value).__name__}")
        self._session.progress(done, total, message)

    def checkpoint(self, key: str, value: object) -> None:
        """Keep `value` as JSON under `key` for the next attempt of this node and for a resumed run; it is in the run's
        journal when the call returns. Raises UnstorableResult."""
        keep_checkpoint(self._session, key, value)

    @property
    def checkpoints(self) -> Mapping[str, Any]:
        """What `ctx.checkpoint` has kept, by key; from earlier attempts too."""
        return Checkpoints(self._session.work.checkpoints(""))

    def log(self, message: str, level: Level = "info", **fields: object) -> None:
        """Write a line to the node's log. Raises ValueError for an unknown level."""
        self._session.log(str(message), checked_level(level), fields)


class AssetContext(NodeContext, Blocking):
    """What a `def` asset receives."""

    __slots__ = ()

    def result(self, payload: object = None, metadata: object = None, materialized: bool | None = None) -> NodeValue:
        """Return it. `payload` is what dependents read, both are stored as JSON; `materialized` says whether the
        artifact was produced."""
        return _asset_result(payload, metadata, materialized)

    def results_of(self, node_function: Callable[..., object], limit: int = 10) -> list[UpstreamResult]:
        """The last `limit` successful results of a declared upstream, newest first. Raises UndeclaredDependency."""
        return self._session.wait(self._session.results_of, node_function, checked_limit(limit))

    def query(self, sql: str, params: Parameters = None) -> Query:
        """Rows of a statement; `params` are bound, never formatted."""
        return Query(self._session, sql, params)

    def execute_sql(self, sql: str, params: Parameters = None) -> None:
        """Run a statement without rows."""
        self._session.wait(self._session.execute, *checked_statement("ctx.execute_sql", sql, params))


class TaskContext(NodeContext, Blocking):
    """What a `def` task receives."""

    __slots__ = ()

    def result(self, payload: object = None, metadata: object = None) -> NodeValue:
        """Return it. `payload` is what dependents read; both are stored as JSON."""
        return NodeValue(payload=payload, metadata=metadata)

    def results_of(self, node_function: Callable[..., object], limit: int = 10) -> list[UpstreamResult]:
        """The last `limit` successful results of a declared upstream, newest first. Raises UndeclaredDependency."""
        return self._session.wait(self._session.results_of, node_function, checked_limit(limit))

    def query(self, sql: str, params: Parameters = None) -> Query:
        """Rows of a statement; `params` are bound, never formatted."""
        return Query(self._session, sql, params)

    def execute_sql(self, sql: str, params: Parameters = None) -> None:
        """Run a statement without rows."""
        self._session.wait(self._session.execute, *checked_statement("ctx.execute_sql", sql, params))


class AsyncAssetContext(NodeContext, Awaiting):
    """What an `async def` asset receives."""

    __slots__ = ()

    def result(self, payload: object = None, metadata: object = None, materialized: bool | None = None) -> NodeValue:
        """Return it. `payload` is what dependents read, both are stored as JSON; `materialized` says whether the
        artifact was produced."""
        return _asset_result(payload, metadata, materialized)

    def results_of(
        self, node_function: Callable[..., object], limit: int = 10
    ) -> Coroutine[Any, Any, list[UpstreamResult]]:
        """The last `limit` successful results of a declared upstream, newest first. Raises UndeclaredDependency."""
        return _results_of(self._session, node_function, limit)

    def query(self, sql: str, params: Parameters = None) -> AsyncQuery:
        """Rows of a statement; `params` are bound, never formatted."""
        return AsyncQuery(self._session, sql, params)

    def execute_sql(self, sql: str, params: Parameters = None) -> Coroutine[Any, Any, None]:
        """Run a statement without rows."""
        return _execute(self._session, sql, params)


class AsyncTaskContext(NodeContext, Awaiting):
    """What an `async def` task receives."""

    __slots__ = ()

    def result(self, payload: object = None, metadata: object = None) -> NodeValue:
        """Return it. `payload` is what dependents read; both are stored as JSON."""
        return NodeValue(payload=payload, metadata=metadata)

    def results_of(
        self, node_function: Callable[..., object], limit: int = 10
    ) -> Coroutine[Any, Any, list[UpstreamResult]]:
        """The last `limit` successful results of a declared upstream, newest first. Raises UndeclaredDependency."""
        return _results_of(self._session, node_function, limit)

    def query(self, sql: str, params: Parameters = None) -> AsyncQuery:
        """Rows of a statement; `params` are bound, never formatted."""
        return AsyncQuery(self._session, sql, params)

    def execute_sql(self, sql: str, params: Parameters = None) -> Coroutine[Any, Any, None]:
        """Run a statement without rows."""
        return _execute(self._session, sql, params)


class _Verdicts(NodeContext):
    """What a check says of what it looked at; hand it back from the function. A message is shown and stored, metadata is
    stored as JSON."""

    __slots__ = ()

    def pass_(self, message: str | None = None, metadata: object = None) -> CheckResult:
        """Return it: all is well."""
        return _check_result(Verdict.PASS, message, metadata)

    def fail(self, message: str, metadata: object = None) -> CheckResult:
        """Return it: something is wrong, which fails the run unless the check's severity is `warn`."""
        return self._to_be_returned(_check_result(Verdict.FAIL, message, metadata), "fail")

    def warn(self, message: str, metadata: object = None) -> CheckResult:
        """Return it: something should be looked at, whatever the severity of the check."""
        return self._to_be_returned(_check_result(Verdict.WARN, message, metadata), "warn")

    def _to_be_returned(self, found: CheckResult, called: str) -> CheckResult:
        self._session.note(
            found,
            f"ctx.{called}(...) at {place_of_caller()} was made but not returned: write `return ctx.{called}(...)`",
        )
        return found


class CheckContext(_Verdicts, Blocking):
    """What a `def` check receives."""

    __slots__ = ()

    def results_of(self, node_function: Callable[..., object], limit: int = 10) -> list[UpstreamResult]:
        """The last `limit` successful results of a declared upstream, newest first. Raises UndeclaredDependency."""
        return self._session.wait(self._session.results_of, node_function, checked_limit(limit))

    def query(self, sql: str, params: Parameters = None) -> Query:
        """Rows of a statement; `params` are bound, never formatted."""
        return Query(self._session, sql, params)

    def execute_sql(self, sql: str, params: Parameters = None) -> None:
        """Run a statement without rows."""
        self._session.wait(self._session.execute, *checked_statement("ctx.execute_sql", sql, params))


class AsyncCheckContext(_Verdicts, Awaiting):
    """What an `async def` check receives."""

    __slots__ = ()

    def results_of(
        self, node_function: Callable[..., object], limit: int = 10
    ) -> Coroutine[Any, Any, list[UpstreamResult]]:
        """The last `limit` successful results of a declared upstream, newest first. Raises UndeclaredDependency."""
        return _results_of(self._session, node_function, limit)

    def query(self, sql: str, params: Parameters = None) -> AsyncQuery:
        """Rows of a statement; `params` are bound, never formatted."""
        return AsyncQuery(self._session, sql, params)

    def execute_sql(self, sql: str, params: Parameters = None) -> Coroutine[Any, Any, None]:
        """Run a statement without rows."""
        return _execute(self._session, sql, params)


def _asset_result(payload: object, metadata: object, materialized: object) -> NodeValue:
    if materialized is not None and not isinstance(materialized, bool):
        raise TypeError(f"ctx.result(): materialized must be True, False or None, not {type(materialized).__name__}")
    return NodeValue(payload=payload, metadata=metadata, materialized=materialized)


def _check_result(verdict: Verdict, message: object, metadata: object) -> CheckResult:
    if not isinstance(message, str) and not (message is None and verdict is Verdict.PASS):
        call = "pass_" if verdict is Verdict.PASS else verdict
        raise TypeError(f"ctx.{call}(): message must be a text, not {type(message).__name__}")
    return CheckResult(verdict=verdict, message=message, metadata=metadata)


def _results_of(
    session: NodeSession, node_function: Callable[..., object], limit: int
) -> Coroutine[Any, Any, list[UpstreamResult]]:
    return Pending(session, "ctx.results_of(...)", session.results_of, node_function, checked_limit(limit))


def checked_level(level: Level) -> Level:
    if level not in _LEVELS:
        raise ValueError(f"ctx.log(): level must be one of {', '.join(_LEVELS)}, not {level!r}")
    return level


def checked_limit(limit: object) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"ctx.results_of(): limit must be a whole number, not {limit!r}")
    if limit < 1:
        raise ValueError(f"ctx.results_of(): limit must be 1 or more, not {limit}")
    return limit


def _execute(session: NodeSession, sql: str, params: Parameters) -> Coroutine[Any, Any, None]:
    return Pending(session, "ctx.execute_sql(...)", session.execute, *checked_statement("ctx.execute_sql", sql, params))
