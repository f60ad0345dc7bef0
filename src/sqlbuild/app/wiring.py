"""The composition root: which implementation stands behind which interface.

It loads what a function gives when that is asked for: a command that only looks at a project loads nothing that runs one.
"""

from __future__ import annotations

import dataclasses
import random
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from sqlbuild.domain.graph import Graph
from sqlbuild.domain.masking import Masker
from sqlbuild.domain.providers import ProviderDeclaration
from sqlbuild.domain.results import RunResult
from sqlbuild.domain.settings import Settings
from sqlbuild.errors import EngineError, Problem, ProjectError
from sqlbuild.runner.exporting.folder_notes import noted_runs

if TYPE_CHECKING:
    from sqlbuild.app.target_access import Patience, TargetAccess
    from sqlbuild.domain.events import Event
    from sqlbuild.domain.plans import Plan
    from sqlbuild.executors.process import ProcessLane
    from sqlbuild.interfaces.comparing import Comparing
    from sqlbuild.interfaces.exporting import Copying
    from sqlbuild.interfaces.functions import FunctionBuilding
    from sqlbuild.interfaces.incremental import Deltas
    from sqlbuild.interfaces.loading import Loading
    from sqlbuild.interfaces.node_logs import NodeLogs
    from sqlbuild.interfaces.providers import ProviderSet
    from sqlbuild.interfaces.staging import Staging
    from sqlbuild.interfaces.state_store import Journal, StateStore
    from sqlbuild.interfaces.target_lock import TargetLock
    from sqlbuild.interfaces.warehouse import Warehouse
    from sqlbuild.runner.run_order import RunOrder, RunServices
    from sqlbuild.state.statements import StateStatements
    from sqlbuild.state.stored_history import StoredHistory

_IN_MEMORY = ":memory:"


def make_warehouse(settings: Settings, root: str) -> Warehouse:
    """The warehouse of the chosen target, not opened yet."""
    match settings.target.connection.adapter:
        case "duckdb":
            from sqlbuild.warehouses.duckdb import DuckDBWarehouse

            return DuckDBWarehouse(settings.target.connection, root)
        case "postgres":
            from sqlbuild.warehouses.postgres import PostgresWarehouse

            return PostgresWarehouse(settings.target.connection, settings.target.schema)
        case adapter:
            raise ProjectError(
                Problem(
                    code="ADAPTER",
                    message=f"target {settings.target.name!r} uses the adapter {adapter!r}, which cannot be built yet",
                    help='set adapter = "duckdb"',
                    path="sqlbuild_project.toml",
                )
            )


def make_loading(settings: Settings) -> Loading:
    """What fills tables of the chosen target's warehouse with rows."""
    match settings.target.connection.adapter:
        case "duckdb":
            from sqlbuild.warehouses.duckdb_loading import DuckDBLoading

            return DuckDBLoading()
        case "postgres":
            from sqlbuild.warehouses.postgres_address import lock_seconds
            from sqlbuild.warehouses.postgres_loading import PostgresLoading

            return PostgresLoading(lock_seconds(settings.target.connection))
        case adapter:
            raise AssertionError(f"a warehouse of the adapter {adapter!r} was opened")


def make_functions(settings: Settings) -> FunctionBuilding:
    """What makes SQL functions in the chosen target's warehouse."""
    match settings.target.connection.adapter:
        case "duckdb":
            from sqlbuild.warehouses.duckdb_functions import DuckDBFunctions

            return DuckDBFunctions()
        case "postgres":
            from sqlbuild.warehouses.postgres_functions import PostgresFunctions

            return PostgresFunctions()
        case adapter:
            raise AssertionError(f"a warehouse of the adapter {adapter!r} was opened")


def make_staging(settings: Settings) -> Staging:
    """What builds relations of the chosen target's warehouse in two steps."""
    match settings.target.connection.adapter:
        case "duckdb":
            from sqlbuild.warehouses.duckdb_staging import DuckDBStaging

            return DuckDBStaging()
        case "postgres":
            from sqlbuild.warehouses.postgres_address import lock_seconds
            from sqlbuild.warehouses.postgres_gating import PostgresStaging

            return PostgresStaging(lock_seconds(settings.target.connection))
        case adapter:
            raise AssertionError(f"a warehouse of the adapter {adapter!r} was opened")


def make_comparing(settings: Settings) -> Comparing:
    """What knows the columns of queries of the chosen target's warehouse."""
    if settings.target.connection.adapter == "postgres":
        from sqlbuild.warehouses.postgres_comparing import PostgresComparing

        return PostgresComparing()
    from sqlbuild.warehouses.duckdb_comparing import DuckDBComparing

    return DuckDBComparing()


def make_deltas(settings: Settings) -> Deltas:
    """What lets tables of the chosen target's warehouse grow."""
    match settings.target.connection.adapter:
        case "duckdb":
            from sqlbuild.warehouses.duckdb_deltas import DuckDBDeltas

            return DuckDBDeltas()
        case "postgres":
            from sqlbuild.warehouses.postgres_address import lock_seconds
            from sqlbuild.warehouses.postgres_deltas import PostgresDeltas

            return PostgresDeltas(lock_seconds(settings.target.connection))
        case adapter:
            raise AssertionError(f"a warehouse of the adapter {adapter!r} was opened")


def make_copying(settings: Settings) -> Copying:
    """What writes rows of the chosen target's warehouse into files."""
    match settings.target.connection.adapter:
        case "duckdb":
            from sqlbuild.warehouses.duckdb_copying import DuckDBCopying

            return DuckDBCopying()
        case "postgres":
            from sqlbuild.warehouses.postgres_copying import PostgresCopying

            return PostgresCopying()
        case adapter:
            raise AssertionError(f"a warehouse of the adapter {adapter!r} was opened")


def make_empty_warehouse(settings: Settings, root: str) -> Warehouse:
    """What stands for a target that was never built where nothing may be written: it is gone when it is closed."""
    connection = settings.target.connection
    in_memory = dataclasses.replace(connection, options={**connection.options, "database": _IN_MEMORY})
    target = dataclasses.replace(settings.target, connection=in_memory)
    return make_warehouse(dataclasses.replace(settings, target=target), root)


def make_lock(settings: Settings, *, patience: float | None = None) -> TargetLock | None:
    """The lock of the chosen target, or None where no other process can get at it.

    `patience` is how many seconds a server is asked at most.
    """
    target = settings.target
    if target.connection.adapter == "postgres":
        from sqlbuild.state.target_lock import process_mark
        from sqlbuild.warehouses.postgres_lock import PostgresTargetLock

        return PostgresTargetLock(target.connection, target.schema, process_mark=process_mark, patience=patience)
    database = str(target.connection.options.get("database", ""))
    if database == _IN_MEMORY or "://" in database:
        return None
    from sqlbuild.state.target_lock import FileTargetLock

    return FileTargetLock(database)


def lock_is_of_schema(settings: Settings) -> bool:
    """Whether others may build into other schemas of the same database while the lock of the chosen target is held."""
    return settings.target.connection.adapter == "postgres"


def make_access(settings: Settings, command: str, patience: Patience) -> TargetAccess:
    """The way into the chosen target for one command."""
    from sqlbuild.app.target_access import TargetAccess

    return TargetAccess(make_lock(settings), target=settings.target.name, command=command, patience=patience)


def make_store(warehouse: Warehouse, settings: Settings) -> StateStore:
    from sqlbuild.state.warehouse_tables import WarehouseStateStore

    target = settings.target
    return WarehouseStateStore(warehouse, target.schema, target.database, statements=_state_statements(settings))


def make_stored_history(warehouse: Warehouse, settings: Settings) -> StoredHistory:
    """Past runs and results in the state tables of the chosen target."""
    from sqlbuild.state.stored_history import StoredHistory

    target = settings.target
    return StoredHistory(warehouse, target.schema, target.database, statements=_state_statements(settings))


def _state_statements(settings: Settings) -> StateStatements:
    match settings.target.connection.adapter:
        case "postgres":
            from sqlbuild.state.postgres_statements import POSTGRES_STATEMENTS

            return POSTGRES_STATEMENTS
        case _:
            from sqlbuild.state.duckdb_statements import DUCKDB_STATEMENTS

            return DUCKDB_STATEMENTS


def make_processes(root: str) -> ProcessLane:
    """Worker processes that open the project in the folder `root` as this process did."""
    from sqlbuild.executors.process import ProcessLane

    command = (sys.executable, "-P", "-m", "sqlbuild.app.remote_entry")
    return ProcessLane(command, {"root": root, "sys_path": [path for path in sys.path if path != root]})


def make_services(
    *,
    warehouse: Warehouse,
    store: StateStore,
    journal: Journal,
    publish: Callable[[Event], None],
    logs: NodeLogs,
    loading: Loading | None,
    deltas: Deltas | None,
    copying: Copying | None,
    comparing: Comparing | None,
    staging: Staging | None,
    functions: FunctionBuilding | None,
    leave_now: Callable[[int], None],
    abandon: Callable[[RunResult], None],
    stop_asked: Callable[[], Awaitable[object]] | None = None,
    target_lost: Callable[[], Awaitable[EngineError]] | None = None,
    providers: ProviderSet | None = None,
    masker: Masker | None = None,
) -> RunServices:
    from sqlbuild.app.event_loop import SystemClock
    from sqlbuild.executors.local import ThreadLane
    from sqlbuild.runner.run_order import RunServices
    from sqlbuild.state.node_result_json import result_to_json

    return RunServices(
        warehouse=warehouse,
        store=store,
        journal=journal,
        clock=SystemClock(),
        publish=publish,
        logs=logs,
        loading=loading,
        deltas=deltas,
        copying=copying,
        comparing=comparing,
        staging=staging,
        functions=functions,
        make_executor=ThreadLane,
        make_processes=make_processes,
        encode=result_to_json,
        jitter=random.random,
        leave_now=leave_now,
        abandon=abandon,
        stop_asked=stop_asked,
        target_lost=target_lost,
        providers=providers,
        masker=masker,
    )


async def run_plan(plan: Plan, order: RunOrder, services: RunServices) -> RunResult:
    """Run every step of `plan`; for one that has none nothing is loaded that runs nodes. Raises EngineError."""
    if not plan.steps:
        from sqlbuild.runner.empty_run import record_empty_run

        return await record_empty_run(plan, order, services)
    from sqlbuild.runner.execute_plan import execute_plan

    return await execute_plan(plan, order, services)


def remove_export_leftovers(runs_folder: str, is_alive: Callable[[str], bool]) -> tuple[str, ...]:
    """See `sqlbuild.runner.exporting.leftovers`, which is loaded if a run has noted that it exports something."""
    if not any(noted_runs(runs_folder)):
        return ()
    from sqlbuild.runner.exporting.leftovers import remove_export_leftovers

    return remove_export_leftovers(runs_folder, is_alive)


def make_providers(
    declarations: Sequence[ProviderDeclaration], used: Iterable[str], hide: Callable[[Iterable[str]], None]
) -> ProviderSet | None:
    """The providers of one run, if the project has any; `hide` is told their secrets.

    Raises ProjectError for fields of `used` ones that are wrong.
    """
    if not declarations:
        return None
    from sqlbuild.app.project_providers import ProjectProviders

    providers = ProjectProviders(declarations, hide)
    providers.validate(used)
    return providers


def write_junit(path: str, project_name: str, result: RunResult, graph: Graph) -> None:
    """The results of unit tests as JUnit XML. Only who asks for it loads what writes XML."""
    from sqlbuild.artifacts.junit_xml import junit_document
    from sqlbuild.artifacts.write_json import write_text

    write_text(path, junit_document(project_name, result, graph))
