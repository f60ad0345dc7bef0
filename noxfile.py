"""Sessions: lint, types, imports, tests (one per supported Python), docs, bench. `nox --list` shows them."""

import nox

PYTHONS = ["3.11", "3.12", "3.13"]
SECOND_TRY = ["--reruns", "1", "-raR"]
"""A test that fails is run once more, and listed as RERUN: on a machine that others use, too, one race must not hide the rest."""

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "imports", "docs", "tests"]


@nox.session
def lint(session: nox.Session) -> None:
    """Style and format."""
    session.install("ruff>=0.9")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Strict mypy over the package, and a user's project checked by mypy and pyright."""
    session.install("--editable", ".[dev]")
    session.run("mypy", "src")
    session.run("pytest", "tests/typing", *session.posargs)


@nox.session
def imports(session: nox.Session) -> None:
    """Who may import whom."""
    session.install("--editable", ".[dev]")
    session.run("lint-imports", "--no-cache")
    session.run("pytest", "tests/architecture", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Unit tests on asyncio, and the specification's page; `scripts/test` runs everything on one Python.

    What a Python changes, it changes on both backends and for all implementations alike: the rest would only take time.
    """
    session.install("--editable", ".[test]" if session.posargs else ".[unit-test]")
    chosen = session.posargs or [
        "tests/unit",
        "tests/integration/test_seed_page.py",
        "-k",
        "not trio and not postgres",
    ]
    session.run("pytest", "-n", "2", "--quiet", *SECOND_TRY, "-m", "not slow", *chosen)


@nox.session
def faults(session: nox.Session) -> None:
    """Real kills, signals and full disks, all of them, also the slow ones: the better part of an hour."""
    session.install("--editable", ".[test]")
    session.run("pytest", "-n", "2", "--quiet", "-m", "faults", "tests/faults", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Many builds in one process: `nox -s soak -- 1000`; 300 if no number is given."""
    session.install("--editable", ".[test]")
    runs = session.posargs[0] if session.posargs else "300"
    session.run("pytest", "--quiet", "tests/faults/test_soak.py", "--soak-runs", runs)


@nox.session
def coverage(session: nox.Session) -> None:
    """All tests with branch coverage, which makes them a quarter slower."""
    session.install("--editable", ".[test]")
    session.run("pytest", "-n", "2", "--quiet", "--cov", "--cov-report=term", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, as it is published, in site/."""
    session.install("zensical>=0.0.20")
    session.run("zensical", "build", "--clean", "--strict")


@nox.session
def bench(session: nox.Session) -> None:
    """What the engine adds to the work itself: `nox -s bench -- --peers --json FILE`; benchmarks/ tells more."""
    session.install("--editable", ".[test]")
    session.run("python", "benchmarks", *session.posargs)
