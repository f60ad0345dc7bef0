"""Imports the modules of one project: its own names first, so that no installed package of the same name wins.

A `ProjectFinder` stands first in `sys.meta_path` while its project is open, and the project root first on `sys.path`.
What it holds is the whole state of an open project; there is none elsewhere.
"""

from __future__ import annotations

import dis
import importlib.machinery
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType

from sqlbuild.authoring.collecting import current_collector
from sqlbuild.errors import Problem, ProjectAlreadyOpen, Rebuilt

_NO_CODE_BELOW = frozenset({"target", "node_modules", "__pycache__"})


class NameTaken(Rebuilt, ImportError):
    """A module needs a name of the project that something else took first; `path` and `line` say where."""

    def __init__(self, message: str, path: str, line: int | None) -> None:
        super().__init__(message, path=path)
        self.line = line


class ProjectFinder:
    """Finds the modules under `root` (an absolute path) whose top-level name stands in `owned`."""

    def __init__(self, root: str, scanned: Sequence[str], also: Iterable[str] = ()) -> None:
        self.root = root
        self.owned = frozenset(_top_level_names(root, scanned, also))
        self.elsewhere: dict[str, str] = {}
        """Owned names that were imported from another place before this project was opened, and that place."""
        self.told: set[str] = set()
        """Those of them of which there is a problem already."""
        self.sources: dict[str, bytes] = {}
        """Source of every module that was imported, by absolute path."""
        self.failures: dict[str, BaseException] = {}
        """By module name: what its import raised. It is raised again instead of running the module again."""
        self._scanned = frozenset(scanned)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        top, _, _ = fullname.partition(".")
        if top not in self.owned or top in self.elsewhere:
            return None
        for folder in path if path is not None else (self.root,):
            spec = self._spec_in(folder, fullname)
            if spec is not None:
                return spec
        return None

    def _spec_in(self, folder: str, fullname: str) -> importlib.machinery.ModuleSpec | None:
        place = f"{folder}/{fullname.rpartition('.')[2]}"
        package = f"{place}/__init__.py"
        if os.path.isfile(package):
            spec = importlib.machinery.ModuleSpec(fullname, _Loader(fullname, package, self), origin=package)
            spec.submodule_search_locations = [place]
        elif os.path.isfile(f"{place}.py"):
            spec = importlib.machinery.ModuleSpec(
                fullname, _Loader(fullname, f"{place}.py", self), origin=f"{place}.py"
            )
        elif os.path.isdir(place):
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [place]
            return spec
        else:
            return None
        spec.has_location = True
        return spec

    def check_imports(self, code: CodeType) -> None:
        """Raise NameTaken if a module's code imports a name of the project that another place has taken."""
        if not self.elsewhere or self.elsewhere.keys().isdisjoint(name.partition(".")[0] for name in code.co_names):
            return
        for instruction in dis.get_instructions(code):
            place = self.elsewhere.get(str(instruction.argval).partition(".")[0])
            if instruction.opname == "IMPORT_NAME" and place is not None:
                line = instruction.positions.lineno if instruction.positions else None
                raise NameTaken(f"`{instruction.argval}` is imported already, from {place}", code.co_filename, line)

    def forget_loading(self) -> None:
        """Drop what only loading needs; modules that nodes import later are read from disk as usual."""
        self.sources = {}
        self.failures = {}

    def is_scanned(self, path: str) -> bool:
        return path in self._scanned

    def is_helper(self, path: str) -> bool:
        """Whether the file's name, or a folder's between the root and it, starts with `_`."""
        return "/_" in path[len(self.root) :]


class _Loader(importlib.machinery.SourceFileLoader):
    """Runs a project file. Bytecode is not cached: its time stamps miss an edit within the same second."""

    def __init__(self, fullname: str, path: str, finder: ProjectFinder) -> None:
        super().__init__(fullname, path)
        self._finder = finder

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        source = self.get_data(path)
        if current_collector() is not None:
            self._finder.sources[path] = source
        code: CodeType = self.source_to_code(source, path)
        self._finder.check_imports(code)
        return code

    def exec_module(self, module: ModuleType) -> None:
        finder, name = self._finder, module.__name__
        failure = finder.failures.get(name)
        if failure is not None:
            raise failure
        collector = current_collector()
        if collector is None:
            super().exec_module(module)
            return
        path = self.get_filename(name)
        with collector.importing(path, scanned=finder.is_scanned(path), helper=finder.is_helper(path)):
            try:
                super().exec_module(module)
            except BaseException as error:
                finder.failures[name] = error
                raise


def open_finder(root: str, scanned: Sequence[str], also: Iterable[str] = ()) -> tuple[ProjectFinder, list[Problem]]:
    """Make `root` the open project; a project that was open there before is forgotten first.

    `scanned` are the absolute paths of the files that may declare nodes, `also` names of folders directly below `root`
    in which there may be code. Raises ProjectAlreadyOpen if another
    project is open in this process.
    """
    if current_collector() is not None:
        raise ProjectAlreadyOpen(
            Problem(
                code="ALREADY_OPEN",
                message=f"a project is being loaded while {root} is to be opened",
                help="do not run sqlbuild from the top level of a project's own files",
            )
        )
    for other in _open_finders():
        if other.root != root:
            raise ProjectAlreadyOpen(
                Problem(
                    code="ALREADY_OPEN",
                    message=f"the project {other.root} is open in this process",
                    help=f"close it before opening {root}, or use another process",
                )
            )
    close_finder(root)
    finder = ProjectFinder(root, scanned, also)
    problems = [*_taken_names(finder, scanned), *_standard_names(root)]
    sys.path.insert(0, root)
    sys.meta_path.insert(0, finder)
    _forget_folders_of(root)
    return finder, problems


def _forget_folders_of(root: str) -> None:
    """What Python remembers of the project's folders may be older than its files.

    `importlib.invalidate_caches` would have all other folders listed anew, and loads importlib.metadata.
    """
    for folder, remembered in list(sys.path_importer_cache.items()):
        if remembered is None:  # there was none
            del sys.path_importer_cache[folder]
        elif os.path.join(folder, "").startswith(os.path.join(root, "")) and hasattr(remembered, "invalidate_caches"):
            remembered.invalidate_caches()


def close_finder(root: str) -> None:
    """Forget the project at `root`: its modules, its finder and its place on the import path."""
    for finder in _open_finders():
        if finder.root != root:
            continue
        sys.meta_path.remove(finder)
        if root in sys.path:
            sys.path.remove(root)
        for name in [name for name in sys.modules if name.partition(".")[0] in finder.owned]:
            place = _place_of(sys.modules[name])
            if place is not None and _is_module_of(place, root, name):
                del sys.modules[name]


def _open_finders() -> list[ProjectFinder]:
    return [finder for finder in sys.meta_path if isinstance(finder, ProjectFinder)]


def _taken_names(finder: ProjectFinder, scanned: Sequence[str]) -> Iterator[Problem]:
    """Names that were imported before: the project's own modules are dropped, others are told when they are needed."""
    needed = {path[len(finder.root) + 1 :].partition("/")[0] for path in scanned}
    for name in finder.owned & set(sys.modules):
        place = _place_of(sys.modules[name])
        if place is not None and _is_module_of(place, finder.root, name):
            if name in needed:
                for loaded in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
                    del sys.modules[loaded]
            continue
        finder.elsewhere[name] = place or "the interpreter"
        if name in needed:
            yield from taken_name(finder, name)


def taken_name(finder: ProjectFinder, name: str) -> Iterator[Problem]:
    """Told once: a name of the project stands for something else in this process."""
    if name in finder.told:
        return
    finder.told.add(name)
    place = finder.elsewhere[name]
    yield Problem(
        code="NAME_TAKEN",
        message=f"`{name}` is imported already, from {place}",
        help=f"the project's folder {name}/ needs that name: import the other one after it, or rename one",
        path=name,
    )


def _standard_names(root: str) -> Iterator[Problem]:
    """Files that would stand in for a module of the standard library, for every package in the process."""
    for entry in sorted(os.listdir(root)):
        name = entry.removesuffix(".py")
        is_module = name != entry or Path(root, entry, "__init__.py").is_file()
        if is_module and name in sys.stdlib_module_names:
            yield Problem(
                code="NAME_TAKEN",
                message=f"`{name}` is the name of a module of the standard library",
                help="rename it, or move it into a folder",
                path=entry,
            )


def _place_of(module: ModuleType | None) -> str | None:
    """The file of a module, or the folder of a namespace package; None for a built-in one."""
    file = getattr(module, "__file__", None)
    if file is not None:
        return str(file)
    folders = list(getattr(module, "__path__", ()))
    return str(folders[0]) if folders else None


def _is_module_of(place: str, root: str, name: str) -> bool:
    """Whether a module's place is where the project at `root` has it, and not some package below the root."""
    top = f"{root}/{name.partition('.')[0]}"
    return place in (top, f"{top}.py") or place.startswith(f"{top}/")


def _top_level_names(root: str, scanned: Sequence[str], also: Iterable[str]) -> Iterator[str]:
    """Modules and packages that stand directly in `root`, those of the standard library left out."""
    needed = {*also, *(path[len(root) + 1 :].partition("/")[0] for path in scanned)}
    for entry in os.scandir(root):
        name = entry.name.removesuffix(".py")
        if not name.isidentifier() or name in sys.stdlib_module_names:
            continue
        if entry.name.endswith(".py") or name in needed or (entry.is_dir() and _is_package(name, entry.path, root)):
            yield name


def _is_package(name: str, folder: str, root: str) -> bool:
    """A folder without __init__.py is one if it holds code and no installed package has its name."""
    if os.path.isfile(f"{folder}/__init__.py"):
        return True
    if name in _NO_CODE_BELOW or name in sys.modules or not _holds_code(folder):
        return False
    elsewhere = [path for path in sys.path if os.path.abspath(path or ".") != root]
    found = importlib.machinery.PathFinder.find_spec(name, elsewhere)
    return found is None or found.origin is None


def _holds_code(folder: str) -> bool:
    """Whether a Python file stands below `folder`, links between folders not followed."""
    waiting = [folder]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            if entry.name.endswith(".py"):
                return True
            if entry.is_dir(follow_symlinks=False) and entry.name[0] != "." and entry.name not in _NO_CODE_BELOW:
                waiting.append(entry.path)
    return False
