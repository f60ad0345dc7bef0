from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "sqlbuild"
ENTRIES = sorted(
    {
        ".".join(("sqlbuild", *path.relative_to(PACKAGE).with_suffix("").parts))
        for pattern in ("[!_]*.py", "cli/*_command.py", "app/[!_]*.py", "drivers/[!_]*.py")
        for path in PACKAGE.glob(pattern)
    }
)
HEAVY = {"pydantic", "anyio", "duckdb", "sqlglot", "rich", "typer", "yaml", "pyarrow", "trio", "asyncio"}


def test_the_import_contract_is_kept(repository):
    lint_imports = Path(sys.executable).with_name("lint-imports")
    kept = subprocess.run([lint_imports, "--no-cache"], cwd=repository, capture_output=True, text=True)
    assert kept.returncode == 0, kept.stdout + kept.stderr


def test_modules_that_are_imported_first_by_somebody_can_be():
    """Those right below sqlbuild, which users import, and those that are loaded when they are called for.

    A module that only works after another one was imported hides a cycle; of the others the contract proves that there is none.
    """
    each_in_a_fork = f"""
import os, sys
for module in {ENTRIES!r}:
    child = os.fork()
    if not child:
        try:
            __import__(module)
        except BaseException as error:
            os.write(2, f"{{module}}: {{error!r}}\\n".encode())
        os._exit(0)
    os.waitpid(child, 0)
"""
    imported = subprocess.run([sys.executable, "-c", each_in_a_fork], capture_output=True, text=True)
    assert imported.stderr == ""
    assert imported.returncode == 0


@pytest.mark.parametrize(
    "module",
    [
        "sqlbuild",
        "sqlbuild.assets",
        "sqlbuild.tasks",
        "sqlbuild.checks",
        "sqlbuild.factories",
        "sqlbuild.refs",
        "sqlbuild.retries",
        "sqlbuild.results",
        "sqlbuild.events",
        "sqlbuild.pytest_plugin",
    ],
)
def test_what_users_import_is_light(module):
    assert _loaded_by("-c", f"import {module}") & HEAVY == set()


def test_the_version_is_told_without_loading_the_engine():
    assert _loaded_by("-m", "sqlbuild", "--version") & HEAVY == set()


def test_a_build_on_postgresql_needs_no_duckdb():
    loaded = _loaded_by("-c", "import sqlbuild.warehouses.postgres_loading, sqlbuild.warehouses.postgres_copying")
    assert loaded & {"asyncpg", "duckdb", "pyarrow"} == {"asyncpg"}


def _loaded_by(*arguments: str) -> set[str]:
    """The top-level packages that a fresh interpreter loads."""
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True
    ).stderr
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in shown.splitlines() if "|" in line}
