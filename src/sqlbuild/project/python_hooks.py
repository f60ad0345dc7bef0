"""The Python hooks of a project: functions with `@hook`, in files that are imported when a model names a hook."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sqlbuild.authoring.hook_functions import declared_hook, wrong_arguments
from sqlbuild.domain.hooks import PythonHook
from sqlbuild.domain.ids import Place, node_id
from sqlbuild.domain.nodes import Model, PythonFunction, Task
from sqlbuild.domain.project import CodeFacts
from sqlbuild.errors import Problem
from sqlbuild.project.code_facts import ProjectCode
from sqlbuild.project.field_reader import nearest
from sqlbuild.project.hook_files import hook_files, sees_hook
from sqlbuild.project.open_python import OpenPython, open_python
from sqlbuild.project.read_python import import_file, node_files

FOLDER = "hooks/python"
KIND = "hook"


def named_hooks(models: Iterable[Model]) -> list[tuple[Model, PythonHook]]:
    """Every call of a Python hook, with its model."""
    return [
        (model, hook)
        for model in models
        for hook in (*model.pre_hooks, *model.post_hooks)
        if isinstance(hook, PythonHook)
    ]


class PythonHooks:
    """Those of the project in the folder `root`; nothing is imported before `read`. `opened`: if something of it was."""

    def __init__(self, root: Path, files: Sequence[Path], opened: OpenPython | None) -> None:
        self._root = str(root)
        self._files = node_files(root, files)
        self.opened = opened
        self.functions: dict[str, PythonFunction] = {}
        self.problems: list[Problem] = []
        self._unreadable = False

    def read(self, folders: Iterable[str]) -> None:
        """Import the files of hooks that models of `folders` may name."""
        if self.opened is None:
            self.opened = open_python(self._root, self._files, needed=("hooks",), also=("models",))
        for path in dict.fromkeys(hook_files(self._root, "python", ".py", folders, self.problems)):
            with self.opened.running():
                found = list(import_file(os.path.join(self._root, path), self.opened.finder, self.opened.collector))
            self.problems += found
            self._unreadable |= any(problem.severity == "error" for problem in found)
            module = sys.modules.get(path.removesuffix(".py").replace("/", "."))
            for value in vars(module).values() if module is not None else ():
                declared = declared_hook(value)
                if declared is not None and declared.place.path == os.path.join(self._root, path):
                    self._add(dataclasses.replace(declared, place=Place(path, declared.place.line)))

    def _add(self, declared: PythonFunction) -> None:
        first = self.functions.setdefault(declared.name, declared)
        if first is not declared:
            self._tell(
                "DUPLICATE_NAME",
                f"the hook {declared.name} has the name of the one at {first.place}",
                "rename one of the two, wherever they stand",
                declared.place,
            )

    def check(self, models: Iterable[Model], names: Mapping[str, Place], providers: Sequence[str]) -> None:
        """Whether models name hooks that they may call, and call them rightly; `names` are those of nodes."""
        for name, declared in self.functions.items():
            if name in names:
                message = f"the hook {name} has the name of a node at {names[name]}"
                self._tell("DUPLICATE_NAME", message, "rename one of the two", declared.place)
        for model, hook in named_hooks(models):
            found = self.functions.get(hook.name)
            if found is None:
                if not self._unreadable:
                    visible = [
                        name for name, each in self.functions.items() if sees_hook(model.place.path, each.place.path)
                    ]
                    help = nearest(hook.name, visible) if visible else f"put a function with @hook into {FOLDER}/"
                    self._tell("HOOK", f"{model.name}: {hook.label}: there is no such hook", help, hook.place)
                continue
            if not sees_hook(model.place.path, found.place.path):
                message = f"{model.name}: {hook.label}: the hook stands in {found.place.path}, not visible here"
                self._tell("HOOK", message, f"move it into {FOLDER}/, or into a folder above both", hook.place)
            for wrong in wrong_arguments(found.function, hook.arguments, providers):
                message = f"{model.name}: {hook.label}: {wrong}"
                self._tell("HOOK", message, f"it is declared at {found.place}", hook.place)

    def facts(self, providers: Sequence[str]) -> dict[str, CodeFacts]:
        """What each hook is made of, by `hook:name`. After all Python files were imported."""
        if self.opened is None or not self.functions:
            return {}
        finder, collector = self.opened.finder, self.opened.collector
        code = ProjectCode(self._root, finder.sources, collector.reads_of, frozenset(providers))
        return {node_id(KIND, name): code.facts_of(Task(declared=each)) for name, each in self.functions.items()}

    def _tell(self, code: str, message: str, help: str, place: Place) -> None:
        self.problems.append(
            Problem(code=code, message=message, help=help, path=place.path, line=place.line, column=place.column)
        )
