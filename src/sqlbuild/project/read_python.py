"""Imports the Python files of a project and gives the nodes that they declare.

While a project is open its root stands first on the import path; `close_python` forgets the project again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FunctionType

from sqlbuild import retries
from sqlbuild.authoring.collecting import Collector, current_collector
from sqlbuild.authoring.declare import wrapper_above
from sqlbuild.authoring.factory_calls import Factory
from sqlbuild.authoring.functions import signature_problems
from sqlbuild.authoring.late_binding import late_bindings
from sqlbuild.domain.ids import node_id
from sqlbuild.domain.nodes import PythonNode, kind_of_declaration
from sqlbuild.domain.project import CodeFacts
from sqlbuild.domain.providers import ProviderDeclaration
from sqlbuild.domain.record import record
from sqlbuild.errors import Problem, ProjectError
from sqlbuild.project.code_facts import ProjectCode
from sqlbuild.project.import_finder import NameTaken, ProjectFinder, close_finder, taken_name
from sqlbuild.project.open_python import OpenPython, open_python
from sqlbuild.project.read_providers import read_providers
from sqlbuild.project.run_factories import run_factory
from sqlbuild.retries import RetryPolicy

MAX_MESSAGE = 500


@record(frozen=True, slots=True, kw_only=True)
class PythonFiles:
    """What the Python files of a project hold."""

    nodes: tuple[PythonNode, ...] = ()
    """In the order of declaration."""
    code: Mapping[str, CodeFacts] = dataclasses.field(default_factory=dict)
    """By node id."""
    providers: tuple[ProviderDeclaration, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_python(root: Path, files: Sequence[Path], opened: OpenPython | None = None) -> PythonFiles:
    """Import `files`, absolute or relative to `root`, and collect the nodes they declare.

    Every file is imported, also after another one failed; what goes wrong becomes a problem. The modules stay
    imported until `close_python(root)`, or until the same project is read again. What the files print goes to stderr.
    `opened` is the project if something of it was imported already. Raises ProjectAlreadyOpen if another project is
    open in this process.
    """
    top = str(root.absolute())
    paths = node_files(root, files)
    if opened is None:
        if not paths:
            close_finder(top)
            return PythonFiles()
        opened = open_python(top, paths)
    finder, collector, problems = opened.finder, opened.collector, list(opened.problems)
    try:
        with opened.running(), _without_garbage_collection():
            for path in paths:
                problems += import_file(path, finder, collector)
            for factory in collector.factories:
                problems += _run_factory(factory, finder, collector)
            providers, of_providers = read_providers(paths, finder.sources, top)
            names = [provider.name for provider in providers]
            problems += [*collector.problems, *late_bindings(collector), *_function_problems(collector, names)]
            problems += of_providers
            code = _code_of_nodes(top, finder, collector, names)
    except BaseException:
        close_finder(top)
        raise
    finder.forget_loading()
    return PythonFiles(
        nodes=tuple(collector.nodes),
        code=code,
        providers=providers,
        problems=tuple(dict.fromkeys(sorted(problems, key=_place_of_problem))),
    )


def node_files(root: Path, files: Sequence[Path]) -> list[str]:
    """The absolute paths of those that are searched for nodes."""
    top = root.absolute()
    return [str(path) for path in (top / file for file in files) if not _is_helper(path, top)]


def close_python(root: Path) -> None:
    """Forget the project at `root`: its modules leave `sys.modules`, and another project can be opened."""
    close_finder(str(root.absolute()))


def _code_of_nodes(
    root: str, finder: ProjectFinder, collector: Collector, providers: Sequence[str]
) -> dict[str, CodeFacts]:
    code = ProjectCode(root, finder.sources, collector.reads_of, frozenset(providers))
    return {node_id(kind_of_declaration(node), node.declared.name): code.facts_of(node) for node in collector.nodes}


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Ten thousand nodes and syntax trees at once would be searched for garbage again and again: a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _is_helper(path: Path, root: Path) -> bool:
    return any(part.startswith("_") for part in path.relative_to(root).parts)


def _place_of_problem(problem: Problem) -> tuple[str, int]:
    return problem.path, problem.line or 0


def import_file(path: str, finder: ProjectFinder, collector: Collector) -> Iterator[Problem]:
    relative = collector.relative(path)
    names = relative.removesuffix(".py").split("/")
    wrong = _unimportable(path, relative, names)
    if wrong is not None:
        yield wrong
        return
    if names[0] in finder.elsewhere:
        yield from taken_name(finder, names[0])
        return
    known = set(map(id, finder.failures.values()))
    folder = _current_folder()
    error = error_of(lambda: importlib.import_module(".".join(names)))
    if error is not None and id(error) not in known:
        yield from problems_of(error, relative, finder, collector)
    yield from _folder_problems(folder, relative)


def _run_factory(factory: Factory, finder: ProjectFinder, collector: Collector) -> list[Problem]:
    found: list[Problem] = []
    folder = _current_folder()
    error = error_of(lambda: found.extend(run_factory(factory, collector)))
    place = factory.place
    # What a factory raises when a file calls it while it is imported was that file's error.
    if error is not None and id(error) not in set(map(id, finder.failures.values())):
        for problem in problems_of(error, place.path, finder, collector):
            line = problem.line if problem.line is not None else place.line
            if problem.code == "IMPORT":
                message = f"the factory {factory.name} failed: {problem.message}"
                help = (
                    problem.help if isinstance(error, ImportError) else "correct the line; a factory runs at each load"
                )
                problem = dataclasses.replace(problem, code="FACTORY", message=message, help=help)
            found.append(dataclasses.replace(problem, line=line))
    return [*found, *_folder_problems(folder, place.path)]


def _folder_problems(folder: str | None, relative: str) -> Iterator[Problem]:
    if folder is not None and _current_folder() != folder:
        os.chdir(folder)
        yield Problem(
            code="FOLDER",
            message="the file changes the current folder while it is imported; it was changed back",
            help="change the folder inside the function that needs it, or use absolute paths",
            path=relative,
            severity="warning",
        )


def error_of(call: Callable[[], object]) -> BaseException | None:
    """What an author's code raises while the project is loaded."""
    process = os.getpid()
    try:
        call()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a file does must not hide the others
        return error
    finally:
        if os.getpid() != process:
            # The child of a fork in the file must not go on as a second sqlbuild.
            os._exit(1)
    return None


def _unimportable(path: str, relative: str, names: Sequence[str]) -> Problem | None:
    if any("." in name for name in names):
        return Problem(
            code="FILE",
            message="the path has a dot in a name, so Python cannot import it",
            help="rename the file or folder",
            path=relative,
        )
    if not Path(path).is_file():
        return Problem(
            code="FILE", message="the file cannot be read", help="check that what it links to exists", path=relative
        )
    return None


def _current_folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def _note_fork() -> None:
    collector = current_collector()
    if collector is None:
        return
    place = collector.running_place()
    collector.problems.append(
        Problem(
            code="FORK",
            message="the file forks the process while it is imported",
            help="start other processes inside a function, not at the top level",
            path=place.path,
            line=place.line,
        )
    )


os.register_at_fork(after_in_parent=_note_fork)


def problems_of(error: BaseException, relative: str, finder: ProjectFinder, collector: Collector) -> Iterator[Problem]:
    """What went wrong in an import, at the innermost line of the project."""
    path, line, column = relative, None, None
    if isinstance(error, NameTaken):
        path, line = collector.relative(error.path or ""), error.line
    elif isinstance(error, SyntaxError) and error.filename in finder.sources:
        path, line, column = collector.relative(error.filename), error.lineno, error.offset
    else:
        frames = [
            each for each in traceback.walk_tb(error.__traceback__) if each[0].f_code.co_filename in finder.sources
        ]
        if frames:
            frame, line = frames[-1]
            path = collector.relative(frame.f_code.co_filename)
    if isinstance(error, ProjectError):
        for problem in error.problems:
            if problem.path:
                yield dataclasses.replace(problem, path=collector.relative(problem.path))
            else:
                yield dataclasses.replace(problem, path=path, line=line)
        return
    message, help = _told(error, finder)
    yield Problem(code="IMPORT", message=message, help=help, path=path, line=line, column=column or None)


def _told(error: BaseException, finder: ProjectFinder) -> tuple[str, str]:
    if isinstance(error, SystemExit):
        return (
            f"the file calls sys.exit({error.code!r}) while it is imported",
            'remove it, or put it under `if __name__ == "__main__":`',
        )
    message = f"{type(error).__name__}: {_text_of(error)}"
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}", "correct the line"
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        if top in finder.owned:
            return message, f"there is no such file in the project's {top}/"
        return message, f"install the package in the environment of sqlbuild: {sys.executable} -m pip install ..."
    if isinstance(error, NameTaken):
        return str(error), "rename the project's file or folder, or import the other one later"
    if isinstance(error, ImportError) and "partially initialized" in message:
        return message, "two files import each other: move one of the imports into the function that needs it"
    if _is_about_retries(error, message):
        fields = ", ".join(field.name for field in dataclasses.fields(RetryPolicy))
        return message, f"the fields of RetryPolicy are {fields}; all but the first are given by name"
    return message, "the file must be importable; move what can fail into the node's function"


def _is_about_retries(error: BaseException, message: str) -> bool:
    """Whether a `RetryPolicy(...)` in the file was given something wrong."""
    if not isinstance(error, TypeError | ValueError):
        return False
    innermost = traceback.extract_tb(error.__traceback__)[-1:]
    return f"{RetryPolicy.__name__}.__init__()" in message or innermost[0].filename == retries.__file__


def _text_of(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - an author's exception may have a broken __str__
        return "(its text cannot be shown)"
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "..."


def _function_problems(collector: Collector, providers: Sequence[str]) -> Iterator[Problem]:
    checked: set[tuple[int, int]] = set()
    for entry in collector.entries:
        declared = entry.node.declared
        function = declared.function
        assert isinstance(function, FunctionType)
        key = (id(function.__code__), id(entry.inner.__code__))
        if key not in checked:
            checked.add(key)
            yield from signature_problems(declared, kind_of_declaration(entry.node), providers)
        if wrapper_above(function):
            yield Problem(
                code="DECORATED",
                message=f"{declared.name} has another decorator above @{kind_of_declaration(entry.node)}, which would not run",
                help="let @asset or @task stand above all other decorators",
                path=declared.place.path,
                line=declared.place.line,
            )
