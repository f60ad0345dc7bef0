"""Finds the functions of single nodes in a worker process: only their files are imported."""

from __future__ import annotations

import contextlib
import importlib
import sys
from pathlib import Path

from sqlbuild.authoring.collecting import Collector, collecting
from sqlbuild.domain.ids import NodeId, node_id
from sqlbuild.domain.nodes import PythonNode, kind_of_declaration
from sqlbuild.errors import NodeError
from sqlbuild.project.find_files import find_files
from sqlbuild.project.import_finder import open_finder


class ProjectFunctions:
    """Opens the project in the folder `root` (absolute), as `read_python` does. Raises ProjectAlreadyOpen."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._files = find_files(root, []).python
        self._finder, _ = open_finder(root, [str(Path(root, path)) for path in self._files])
        self._nodes: dict[NodeId, PythonNode] = {}

    def find(self, node: NodeId, path: str) -> PythonNode:
        """The node that the file `path` (relative) or one that it imports declares, else any other file.

        Raises what an import raises, and NodeError if no file declares the node.
        """
        for file in dict.fromkeys((path, *self._files)):
            if node in self._nodes:
                break
            self._import(file)
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
            importlib.import_module(".".join(path.removesuffix(".py").split("/")))
            self._keep(collector)
        self._finder.forget_loading()

    def _keep(self, collector: Collector) -> None:
        for found in collector.nodes:
            self._nodes[node_id(kind_of_declaration(found), found.declared.name)] = found
