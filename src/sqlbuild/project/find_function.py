"""Finds the functions of single nodes in a worker process: only their files are imported."""

from __future__ import annotations

import contextlib
import importlib
import sys
from pathlib import Path

from sqlbuild.authoring.collecting import Collector, collecting
from sqlbuild.domain.ids import NodeId, node_id
from sqlbuild.domain.nodes import PythonNode, kind_of_declaration
from sqlbuild.domain.providers import ProviderDeclaration
from sqlbuild.errors import NodeError
from sqlbuild.project.find_files import find_files
from sqlbuild.project.import_finder import open_finder
from sqlbuild.project.read_providers import read_providers
from sqlbuild.project.run_factories import run_factory


class ProjectFunctions:
    """Opens the project in the folder `root` (absolute), as `read_python` does. Raises ProjectAlreadyOpen."""

    def __init__(self, root: str) -> None:
        self._root = root
        files = find_files(root, [])
        self._files, self._provider_files = files.python, files.providers
        self._finder, _ = open_finder(root, [str(Path(root, path)) for path in (*files.providers, *files.python)])
        self._nodes: dict[NodeId, PythonNode] = {}

    def find(self, node: NodeId, path: str) -> PythonNode:
        """The node that the file `path` (relative) or one that it imports declares, else any other file.

        Raises what an import raises, and NodeError if no file declares the node.
        """
        for file in dict.fromkeys((path, *self._files)):
            if node in self._nodes:
                break
            self._import(file)
        if node not in self._nodes and sys.modules.pop(_module_of(path), None) is not None:
            # A node has imported it while it ran, when nobody collected what it declares.
            self._import(path)
        if node not in self._nodes:
            raise NodeError(
                f"{path} does not declare {node} when it is imported by a worker process",
                help="let what a file declares not depend on when or where it is imported",
            )
        return self._nodes[node]

    def _import(self, path: str) -> None:
        if path not in self._files:
            return
        with collecting(self._root) as collector, contextlib.redirect_stdout(sys.stderr):
            importlib.import_module(_module_of(path))
            for factory in collector.factories:
                list(run_factory(factory, collector))
            self._keep(collector)
        self._finder.forget_loading()

    def providers(self) -> tuple[ProviderDeclaration, ...]:
        """What the files of `providers/` declare. Raises what an import raises."""
        for path in self._provider_files:
            with collecting(self._root), contextlib.redirect_stdout(sys.stderr):
                importlib.import_module(_module_of(path))
        self._finder.forget_loading()
        return read_providers([str(Path(self._root, path)) for path in self._provider_files], {}, self._root)[0]

    def _keep(self, collector: Collector) -> None:
        for found in collector.nodes:
            self._nodes[node_id(kind_of_declaration(found), found.declared.name)] = found


def _module_of(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")
