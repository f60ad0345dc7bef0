"""The macros of a project: Python functions that give SQL text. Their files are imported when one is called."""

from __future__ import annotations

import difflib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FunctionType

from sqlbuild.authoring.macro_context import MacroContext
from sqlbuild.authoring.project_vars import ProjectVars
from sqlbuild.domain.ids import Place
from sqlbuild.domain.record import record
from sqlbuild.domain.settings import Settings
from sqlbuild.errors import Problem, Rebuilt, SqlbuildError
from sqlbuild.project.find_files import walk_files
from sqlbuild.project.open_python import OpenPython, open_python
from sqlbuild.project.read_python import error_of, import_file, node_files
from sqlbuild.project.sql_variables import SqlVariables

PROJECT_FOLDER = "macros"
BELOW = "_sqlbuild/macros"
"""Inside a folder: macros for it and the folders below it."""
HERE = "_sqlbuild/_macros"
"""Inside a folder: macros for it alone."""

_TREES = ("models", "tests", "functions", "sources", "audits", "hooks")


class WrongMacro(Rebuilt):
    """A call that gave no SQL; `problem` has no place yet."""

    def __init__(self, code: str, message: str, help: str) -> None:
        super().__init__(message)
        self.code = code
        self.help = help


class UnreadableMacros(Exception):
    """The macro may stand in a file that could not be imported, which is a problem already."""


@record(frozen=True, slots=True, kw_only=True)
class Macro:
    name: str
    place: Place
    function: Callable[..., object]
    takes_context: bool
    signature: inspect.Signature
    """Without the context."""

    def written(self) -> str:
        """How it is called, for messages."""
        parameters = (
            f"{'*' * (each.kind is each.VAR_POSITIONAL) + '**' * (each.kind is each.VAR_KEYWORD)}{each.name}"
            + ("" if each.default is each.empty else f"={each.default!r}")
            for each in self.signature.parameters.values()
        )
        return f"@py.{self.name}({', '.join(parameters)})"


@record(frozen=True, slots=True)
class _Folder:
    """The macros of one folder; `unreadable` if a file of it could not be imported."""

    macros: Mapping[str, Macro]
    unreadable: bool = False


class Macros:
    """Those of the project in the folder `root`; `files` are its Python files that may declare nodes.

    `problems` is what was found wrong with macro files, `opened` the project's Python once a macro was called.
    """

    def __init__(
        self, root: Path, settings: Settings, files: Sequence[Path], environ: Mapping[str, str] | None = None
    ) -> None:
        self._root = str(root)
        self.variables = SqlVariables(settings.vars, environ or {})
        self._files = node_files(root, files)
        self._context = MacroContext(
            adapter_name=settings.target.connection.adapter,
            target=settings.target.name,
            vars=ProjectVars(settings.vars),
        )
        self._folders: dict[str, _Folder] = {}
        self._local_files: dict[str, str] | None = None
        self.problems: list[Problem] = []
        self.opened: OpenPython | None = None

    def find(self, name: str, seen_from: Iterable[str]) -> Macro:
        """The nearest macro of that name that is visible in one of these files, by their paths relative to the root.

        Raises WrongMacro if there is none, and UnreadableMacros if nobody can know.
        """
        names: dict[str, None] = {}
        unreadable = False
        for folder in dict.fromkeys(folder for path in seen_from for folder in _visible_folders(path)):
            found = self._folder(folder)
            if name in found.macros:
                return found.macros[name]
            names.update(dict.fromkeys(found.macros))
            unreadable |= found.unreadable
        if unreadable:
            raise UnreadableMacros
        raise WrongMacro("UNKNOWN_MACRO", f"there is no macro {name}", self._help_for_unknown(name, names))

    def call(self, macro: Macro, positional: Sequence[object], named: Mapping[str, object]) -> object:
        """What the macro returns. Raises WrongMacro."""
        try:
            bound = macro.signature.bind(*positional, **named)
        except TypeError as error:
            raise WrongMacro("MACRO_CALL", f"{macro.name}: {error}", f"it is written {macro.written()}") from error
        first = (self._context,) if macro.takes_context else ()
        returned: list[object] = []
        assert self.opened is not None
        with self.opened.running():
            raised = error_of(lambda: returned.append(macro.function(*first, *bound.args, **bound.kwargs)))
        if raised is not None:
            raise self._raised(macro, raised)
        if inspect.iscoroutine(returned[0]):
            returned[0].close()
            raise WrongMacro(
                "MACRO", f"the macro {macro.name} is `async def`", "macros are called while SQL is read: write `def`"
            )
        return returned[0]

    def _raised(self, macro: Macro, error: BaseException) -> WrongMacro:
        assert self.opened is not None
        sources = self.opened.finder.sources
        frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename in sources]
        lines = [
            f"\n    {self.opened.collector.relative(frame.filename)}:{frame.lineno} in {frame.name}"
            + (f": {frame.line}" if frame.line else "")
            for frame in frames
        ]
        told = error_of(lambda: lines.append(_text_of(error)))
        text = lines.pop() if told is None else "(its text cannot be shown)"
        help = error.help if isinstance(error, SqlbuildError) and error.help else ""
        return WrongMacro(
            "MACRO",
            f"the macro {macro.name} raised {type(error).__name__}: {text}{''.join(lines)}",
            help or f"correct the macro ({macro.place}), or what it is given",
        )

    def _folder(self, folder: str) -> _Folder:
        found = self._folders.get(folder)
        if found is None:
            found = self._folders[folder] = self._read(folder)
        return found

    def _read(self, folder: str) -> _Folder:
        paths = sorted(walk_files(self._root, folder, (".py",), self.problems))
        if not paths:
            return _Folder({})
        if self.opened is None:
            self.opened = open_python(self._root, self._files, needed=(PROJECT_FOLDER,), also=_TREES)
        macros: dict[str, Macro] = {}
        unreadable = False
        for path in paths:
            with self.opened.running():
                found = list(import_file(os.path.join(self._root, path), self.opened.finder, self.opened.collector))
            self.problems += found
            module = sys.modules.get(path.removesuffix(".py").replace("/", "."))
            if module is None or any(each.severity == "error" for each in found):
                unreadable = True
                continue
            for macro in _macros_of(vars(module), os.path.join(self._root, path), path):
                first = macros.setdefault(macro.name, macro)
                if first is not macro:
                    self.problems.append(_twice(macro, first))
        return _Folder(macros, unreadable)

    def _help_for_unknown(self, name: str, visible: Iterable[str]) -> str:
        near = difflib.get_close_matches(name, list(visible), n=1, cutoff=0.6)
        if near:
            return f"did you mean @py.{near[0]}(...)?"
        elsewhere = self._elsewhere(name)
        if elsewhere is not None:
            return (
                f"one stands in {elsewhere}, which is not visible here: move it into the _sqlbuild/macros/python/ of a "
                "folder above both, or into macros/python/"
            )
        return f"define it as a function in a file of macros/python/: def {name}(...)"

    def _elsewhere(self, name: str) -> str | None:
        """A file with such a function that a call cannot see; by its text, without importing it."""
        if self._local_files is None:
            self._local_files = dict(_local_files(self._root))
        return next((path for path, text in self._local_files.items() if f"\ndef {name}(" in text), None)


def _local_files(root: str) -> Iterator[tuple[str, str]]:
    """Paths and texts of all Python files below a `_sqlbuild`."""
    for tree in _TREES:
        for folder, folders, files in os.walk(os.path.join(root, tree)):
            folders[:] = sorted(each for each in folders if each[0] != "." and each != "__pycache__")
            if "/_sqlbuild" not in folder:
                continue
            for path in (os.path.join(folder, file) for file in sorted(files) if file.endswith(".py")):
                yield os.path.relpath(path, root).replace(os.sep, "/"), "\n" + _text_in(path)


def _visible_folders(path: str) -> Iterable[str]:
    """Where the macros stand that a file may call, the nearest first."""
    parts = path.split("/")[:-1]
    if "_sqlbuild" in parts:
        parts = parts[: parts.index("_sqlbuild")]
    own = "/".join(parts)
    # The first part is a tree such as models/: what is for all of it stands in the project's own folder.
    if len(parts) > 1:
        yield f"{own}/{HERE}"
    for length in range(len(parts), 1, -1):
        yield f"{'/'.join(parts[:length])}/{BELOW}"
    yield PROJECT_FOLDER


def _macros_of(module: Mapping[str, object], absolute: str, path: str) -> Iterable[Macro]:
    """The public functions that a file defines itself; those that it imports are not its own."""
    for name, value in module.items():
        if name.startswith("_") or not callable(value) or isinstance(value, type):
            continue
        function = inspect.unwrap(value)
        if not isinstance(function, FunctionType) or function.__code__.co_filename != absolute:
            continue
        signature = inspect.signature(value)
        parameters = list(signature.parameters.values())
        takes_context = bool(parameters) and parameters[0].name == "ctx"
        if takes_context:
            signature = signature.replace(parameters=parameters[1:])
        yield Macro(
            name=name,
            place=Place(path, function.__code__.co_firstlineno),
            function=value,
            takes_context=takes_context,
            signature=signature,
        )


def _twice(macro: Macro, first: Macro) -> Problem:
    return Problem(
        code="DUPLICATE_NAME",
        message=f"the macro {macro.name} is defined at {first.place} too",
        help="rename one of the two, or begin its name with _ if it is only called by others",
        path=macro.place.path,
        line=macro.place.line,
    )


def _text_of(error: BaseException) -> str:
    text = " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())
    return text if len(text) <= 500 else text[:500] + "..."


def _text_in(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
