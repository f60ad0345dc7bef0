"""What users may import, name by name: a change here is a change for every project."""

from __future__ import annotations

import importlib
import inspect

import pytest

PUBLIC = {
    "sqlbuild.assets": {"asset", "AssetContext", "AsyncAssetContext", "SkipMode"},
    "sqlbuild.tasks": {"task", "TaskContext", "AsyncTaskContext", "SkipMode"},
    "sqlbuild.checks": {"check", "CheckContext", "AsyncCheckContext", "Severity", "SkipMode"},
    "sqlbuild.factories": {"factory"},
    "sqlbuild.hooks": {"hook", "HookContext", "AsyncHookContext", "HookDestination", "SkipMode"},
    "sqlbuild.providers": {"Provider", "ProviderContext"},
    "sqlbuild.loaders": {
        "AsyncLoaderContext",
        "AsyncUpstreamTable",
        "LoaderContext",
        "SkipMode",
        "UpstreamTable",
        "WriteStrategy",
        "loader",
    },
    "sqlbuild.refs": {"model", "source", "seed", "Reference", "SqlResourceRef"},
    "sqlbuild.retries": {"RetryPolicy", "RetryAfter"},
    "sqlbuild": {"__version__", "abuild", "build"},
    "sqlbuild.results": {
        "ErrorFacts",
        "ExportResult",
        "NodeId",
        "NodeKind",
        "NodeOutcome",
        "NodeResult",
        "RunResult",
        "SkipMode",
        "Status",
    },
    "sqlbuild.testing": {
        "NodeRun",
        "Pool",
        "Result",
        "Rows",
        "SkipMode",
        "Status",
        "Verdict",
        "VirtualClock",
        "arun_node",
        "run_node",
    },
}
FROM_PYTHON = {"backend"}
"""What only the half has that makes its own event loop."""
WAITING = {"execute_sql", "results_of", "export"}
CONTEXT = {
    "result", "skip", "result_of", "relation", "query", "execute_sql", "progress", "log",
    "run_id", "node_name", "attempt", "target", "vars", "is_reload", "connection",
    "dry_run", "idempotency_key", "results_of", "pool", "map", "checkpoint", "checkpoints", "providers", "export",
}  # fmt: skip


@pytest.mark.parametrize("module", PUBLIC)
def test_a_module_of_the_authors_shows_exactly_these_names(module):
    found = importlib.import_module(module)
    own = {
        name
        for name, value in vars(found).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("sqlbuild")
    }
    assert set(getattr(found, "__all__", own)) == PUBLIC[module]


@pytest.mark.parametrize("name", ["AssetContext", "AsyncAssetContext", "TaskContext", "AsyncTaskContext"])
def test_a_context_has_exactly_these_members(name):
    module = "sqlbuild.assets" if "Asset" in name else "sqlbuild.tasks"
    context = getattr(importlib.import_module(module), name)
    assert {member for member in dir(context) if not member.startswith("_")} == CONTEXT


@pytest.mark.parametrize("name", ["CheckContext", "AsyncCheckContext"])
def test_a_check_gives_verdicts_instead_of_results(name):
    context = getattr(importlib.import_module("sqlbuild.checks"), name)
    members = {member for member in dir(context) if not member.startswith("_")}
    assert members == (CONTEXT - {"result"}) | {"pass_", "fail", "warn"}


LOADING = {"destination", "current_cursor_value", "loader", "source"}


@pytest.mark.parametrize("name", ["LoaderContext", "AsyncLoaderContext"])
def test_the_context_of_a_loader_has_what_a_tasks_has_and_the_tables(name):
    context = getattr(importlib.import_module("sqlbuild.loaders"), name)
    task = getattr(importlib.import_module("sqlbuild.tasks"), name.replace("Loader", "Task"))
    public = {member for member in dir(context) if not member.startswith("_")}
    assert public - {member for member in dir(task) if not member.startswith("_")} == LOADING


@pytest.mark.parametrize("kind", ["Asset", "Task", "Loader"])
def test_both_halves_of_a_context_take_the_same_arguments(kind):
    module = importlib.import_module(f"sqlbuild.{kind.lower()}s")
    plain, waiting = getattr(module, f"{kind}Context"), getattr(module, f"Async{kind}Context")
    for member in CONTEXT | (LOADING if kind == "Loader" else set()):
        ours, theirs = inspect.getattr_static(plain, member), inspect.getattr_static(waiting, member)
        if inspect.isfunction(ours):
            assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters), member
            assert ("Coroutine" in str(theirs.__annotations__["return"])) == (member in WAITING), member


def test_both_halves_of_the_programmatic_interface_take_the_same_arguments():
    testing, package = importlib.import_module("sqlbuild.testing"), importlib.import_module("sqlbuild")
    for plain, waiting in ((package.build, package.abuild), (testing.run_node, testing.arun_node)):
        ours, theirs = inspect.signature(plain).parameters, inspect.signature(waiting).parameters
        assert [name for name in ours if name not in FROM_PYTHON] == list(theirs)


def test_every_event_is_public():
    events = importlib.import_module("sqlbuild.events")
    union = importlib.import_module("sqlbuild.domain.events").Event
    assert set(events.__all__) == {"Event", *(kind.__name__ for kind in union.__args__)}
