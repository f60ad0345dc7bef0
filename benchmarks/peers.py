"""Other tools that do the same work, each in an environment of its own below .cache/peers/."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

from measuring import CommandFailed

ROOT = Path(__file__).resolve().parent.parent / ".cache" / "peers"
REQUIREMENTS = {
    "published sqlbuild": ("sqlbuild==0.183.0",),
    "dagster": ("dagster",),
    "prefect": ("prefect",),
    "luigi": ("luigi",),
    "dask": ("dask[distributed]", "aiohttp"),
    "doit": ("doit",),
    "hamilton": ("sf-hamilton", "aiohttp"),
    "dbt": ("dbt-core", "dbt-duckdb"),
    "sqlmesh": ("sqlmesh",),
}
"""What is compared with which version is in the documentation; here the newest one that can be installed counts."""


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


def version_of(name: str, package: str) -> str:
    """The installed version of a package in the environment of a peer."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([peer(name), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


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
