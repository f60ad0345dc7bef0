"""From a folder to a compiled project. All that `sqb compile` does, so it loads nothing of what runs one."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

from sqlbuild.app.observed_sources import is_watched, with_observed
from sqlbuild.app.options import Compiled, ProjectOptions
from sqlbuild.app.target_folder import state_json
from sqlbuild.compiler.compile_project import compile_project
from sqlbuild.domain.settings import Settings
from sqlbuild.errors import Problem, ProjectError
from sqlbuild.executors.forked_analysis import ForkedAnalysis
from sqlbuild.project.load_project import load_project
from sqlbuild.project.read_python import close_python
from sqlbuild.runner.node_output import captured_output
from sqlbuild.state.analysis_cache import FileAnalysisCache
from sqlbuild.state.past_file import read_past

__all__ = ["Compiled", "ProjectOptions", "captured_output", "close_project", "open_project"]


def open_project(options: ProjectOptions) -> Compiled:
    """Read and compile a project; needs no warehouse. Raises ProjectError with every problem found."""
    masker = options.masker
    cache = FileAnalysisCache(Path(options.root, "target", "sql_analysis.json"))
    try:
        project = load_project(
            options.root, target=options.target, vars=options.vars, environ=options.environ, masker=masker
        )
        require_driver(project.settings)
        with ForkedAnalysis() as analyse_all:
            graph = compile_project(project, cache, analyse_all=analyse_all)
    except ProjectError as error:
        masked = tuple(map(masker.problem, error.problems))
        if masked == error.problems:
            raise
        raise ProjectError(masked) from None
    finally:
        # Also after an error: the next compile should not analyse again what is right.
        cache.flush()
    if any(map(is_watched, graph.nodes.values())):
        known, _ = read_past(state_json(options.root), project.settings.target.name)
        graph = with_observed(graph, known)
    if masker:
        graph = dataclasses.replace(graph, warnings=tuple(map(masker.problem, graph.warnings)))
    return Compiled(project=project, graph=graph, masker=masker)


def close_project(root: str) -> None:
    """Forget the modules of an open project, so that it can be read again or another one be opened."""
    close_python(Path(root))


def require_driver(settings: Settings) -> None:
    """Raises ProjectError if what connects to the chosen target's warehouse is not installed."""
    if settings.target.connection.adapter == "postgres" and importlib.util.find_spec("asyncpg") is None:
        raise ProjectError(
            Problem(
                code="EXTRA",
                message=f"target {settings.target.name!r} is on PostgreSQL, which needs the package asyncpg",
                help="pip install 'sqlbuild[postgres]'",
                path="sqlbuild_project.toml",
            )
        )
