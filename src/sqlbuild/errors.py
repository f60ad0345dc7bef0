"""Every error sqlbuild raises, and the exit code each one ends a command with.

SqlbuildError
├── ProjectError            2   the project, the command line or target/ is wrong; carries all problems found
│   ├── ProjectAlreadyOpen  2   another project is open in this process
│   ├── DeclarationError    2   a decorator was given something wrong (also a TypeError)
│   └── ExtraNotInstalled   2   a module of sqlbuild needs an optional package (also an ImportError)
├── SelectionError          2   a selector names nothing, or the selection is empty
├── TargetLocked            3   another process writes to this target
├── WarehouseUnreachable    4   the warehouse cannot be reached or is not a database
├── EngineError             5   the engine could not keep its promise
├── RunFailed               1   `RunResult.raise_for_failures()` of a run that did not succeed
└── NodeError               1   fails one node and only that node
    ├── WarehouseError          a statement failed; `transient` tells whether trying again can help
    │   └── RowRefused          a table does not take a row; which row and column it is
    ├── SeedError               a CSV file cannot become the table of its seed
    ├── UnstorableResult        payload or metadata is not plain JSON
    ├── UndeclaredDependency    ctx.relation() or ctx.result_of() of something not in depends_on
    ├── UpstreamHasNoResult     ctx.result_of() of an upstream without a successful result
    ├── MissingAwait            something that must be awaited was not
    ├── NotReturned             ctx.skip() or ctx.fail() was called but not returned
    ├── ContractError           a model's query does not give the columns of its enforced contract
    ├── MissingExtra            an optional package is not installed
    ├── ProviderError           a provider is not known or could not be set up
    ├── MissingVar              ctx.vars["x"] of a var that nobody has set (also a KeyError)
    ├── PoolError               ctx.pool() of a pool that there is not
    │   └── PoolOrder           ctx.pool() inside a block, in an order in which nodes could wait for each other
    ├── MapError                ctx.map() was given keys that are not unique, or a function of the wrong kind
    ├── ExportError             ctx.export() could not write a file
    │   └── ExportPathError     ctx.export() to a path that is refused
    ├── NodeExited              the node called sys.exit() or raised KeyboardInterrupt
    ├── WorkerLost              the process of a node with isolate="process" ended before the node did
    ├── AuditFailed             what a model has staged was not published, because of its audits
    ├── LoopBlocked             an async node kept the event loop from running, and --strict-async is given
    └── NodeTimeout             an attempt passed its time limit (also a TimeoutError)
NodeCancelled (BaseException)   raised inside a `def` node's ctx call when the run is being stopped
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a project, with its place and the fix.

    `path` is relative to the project root with forward slashes; `line` and `column` count from 1.
    `severity` is "error" or "warning"; only errors stop a command.
    """

    code: str
    message: str
    help: str = ""
    path: str = ""
    line: int | None = None
    column: int | None = None
    severity: str = "error"

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path or None, self.line, self.column) if part is not None)
        head = f"{self.severity}[{self.code}] " + (f"{place}: " if place else "") + self.message
        return f"{head}\n  help: {self.help}" if self.help else head


class Rebuilt(Exception):
    """Copied and pickled by its `args` and attributes, as any exception, whatever its `__init__` takes."""

    def __reduce__(self) -> tuple[Any, ...]:
        _, args, *state = tuple(super().__reduce__())
        return _rebuild, (type(self), args), *state


def _rebuild(cls: type[Rebuilt], args: tuple[object, ...]) -> Rebuilt:
    error: Rebuilt = cls.__new__(cls, *args)
    super(Rebuilt, error).__init__(*args)
    return error


class SqlbuildError(Rebuilt):
    """The root of all errors that sqlbuild raises."""

    code = "ERROR"
    exit_code = 5

    def __init__(self, message: str, *, help: str = "") -> None:
        super().__init__(message)
        self.help = help

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What to show the user; a single problem unless the error collects several."""
        return (Problem(code=self.code, message=Exception.__str__(self), help=self.help),)


class ProjectError(SqlbuildError):
    """The project or the command line is wrong; nothing ran."""

    code = "PROJECT"
    exit_code = 2

    def __init__(self, problems: Iterable[Problem] | Problem) -> None:
        found = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in found))
        self._problems = found

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self._problems


class ProjectAlreadyOpen(ProjectError):
    """Another project is open in this process."""


class DeclarationError(ProjectError, TypeError):
    """A decorator was given something wrong, outside of loading a project; its paths are absolute."""


class ExtraNotInstalled(ProjectError, ImportError):
    """A module of sqlbuild was imported that needs an optional package."""


class SelectionError(SqlbuildError):
    code = "SELECT"
    exit_code = 2


class TargetLocked(SqlbuildError):
    code = "LOCKED"
    exit_code = 3


class WarehouseUnreachable(SqlbuildError):
    code = "WAREHOUSE"
    exit_code = 4


class EngineError(SqlbuildError):
    code = "ENGINE"
    exit_code = 5


class RunFailed(SqlbuildError):
    """A run from Python did not succeed and was asked to say so; `exit_code` is the run's own."""

    code = "RUN_FAILED"
    exit_code = 1


class NodeError(SqlbuildError):
    """Fails one node and only that node."""

    code = "NODE"
    exit_code = 1
    path: str | None = None
    """Of the project's file that is to be mended, if it is another one than that of the node's declaration."""
    line: int | None = None
    """In that file."""

    def __str__(self) -> str:
        message = Exception.__str__(self)
        return f"{message}; help: {self.help}" if self.help else message


class WarehouseError(NodeError):
    """A statement failed; `transient` tells whether trying again can help."""

    code = "SQL"

    def __init__(self, message: str, *, help: str = "", sql: str = "", transient: bool = False) -> None:
        super().__init__(message, help=help)
        self.sql = sql
        self.transient = transient


class RowRefused(WarehouseError):
    """A table does not take a row, which counts from 1 in the whole load; `said` is the message without it."""

    def __init__(self, said: str, row: int, *, help: str = "") -> None:
        super().__init__(f"{said} (row {row:,})", help=help)
        self.said = said
        self.row = row


class SeedError(NodeError):
    """A CSV file cannot become the table of its seed; `path` and `line` are those of the file."""

    code = "SEED"

    def __init__(self, message: str, *, help: str, path: str, line: int | None) -> None:
        super().__init__(message, help=help)
        self.path = path
        self.line = line


class UnstorableResult(NodeError):
    code = "RESULT"


class UndeclaredDependency(NodeError):
    code = "UNDECLARED"


class UpstreamHasNoResult(NodeError):
    code = "NO_RESULT"


class MissingAwait(NodeError):
    code = "AWAIT"


class NotReturned(NodeError):
    code = "NOT_RETURNED"


class ContractError(NodeError):
    """A model's query does not give the columns of its contract."""

    code = "CONTRACT"


class MissingExtra(NodeError):
    code = "EXTRA"


class MissingVar(NodeError, KeyError):
    code = "VAR"


class PoolError(NodeError):
    code = "POOL"


class PoolOrder(PoolError):
    code = "POOL_ORDER"


class MapError(NodeError):
    code = "MAP"


class ProviderError(NodeError):
    """A provider is not known or could not be set up; its `__cause__` is what the provider raised."""

    code = "PROVIDER"


class ExportError(NodeError):
    code = "EXPORT"


class ExportPathError(ExportError):
    code = "EXPORT_PATH"


class NodeExited(NodeError):
    code = "NODE_EXIT"


class WorkerLost(NodeError):
    code = "WORKER"


class LoopBlocked(NodeError):
    code = "BLOCKED_LOOP"


class AuditFailed(NodeError):
    """An audit of severity error has found something; what there was before stays."""

    code = "AUDIT"


class NodeTimeout(NodeError, TimeoutError):
    code = "TIMEOUT"


class NodeCancelled(BaseException):
    """The run is being stopped; raised by ctx calls inside a `def` node so that its `finally` blocks run."""
