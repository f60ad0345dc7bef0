"""What users may import, name by name: a change here is a change for every project."""

from __future__ import annotations

import importlib
import inspect

import pytest

PUBLIC = {
    "sqlbuild.assets": {"asset", "AssetContext", "AsyncAssetContext", "SkipMode"},
    "sqlbuild.tasks": {"task", "TaskContext", "AsyncTaskContext", "SkipMode"},
    "sqlbuild.refs": {"model", "source", "seed", "Reference"},
    "sqlbuild.retries": {"RetryPolicy", "RetryAfter"},
}
WAITING = {"execute_sql", "results_of"}
CONTEXT = {
    "result", "skip", "result_of", "relation", "query", "execute_sql", "progress", "log",
    "run_id", "node_name", "attempt", "target", "vars", "is_reload", "connection",
    "dry_run", "idempotency_key", "results_of",
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


@pytest.mark.parametrize("kind", ["Asset", "Task"])
def test_both_halves_of_a_context_take_the_same_arguments(kind):
    module = importlib.import_module(f"sqlbuild.{kind.lower()}s")
    plain, waiting = getattr(module, f"{kind}Context"), getattr(module, f"Async{kind}Context")
    for member in CONTEXT:
        ours, theirs = inspect.getattr_static(plain, member), inspect.getattr_static(waiting, member)
        if inspect.isfunction(ours):
            assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters), member
            assert ("Coroutine" in str(theirs.__annotations__["return"])) == (member in WAITING), member
