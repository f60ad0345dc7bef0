"""Collects the nodes that are declared while a project is loaded; there is no other registry.

Decorations made at any other time are not collected, and the decorated functions work all the same.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from types import CodeType, FunctionType

from sqlbuild.authoring.callers import frame_of_caller
from sqlbuild.authoring.code_reads import MISSING, CodeReads, cell_values, reads_of
from sqlbuild.authoring.factory_calls import Factory
from sqlbuild.domain.ids import Place
from sqlbuild.domain.nodes import PythonNode
from sqlbuild.domain.record import record
from sqlbuild.errors import Problem

_collector: contextvars.ContextVar[Collector | None] = contextvars.ContextVar("sqlbuild_collector", default=None)


@record(frozen=True, slots=True)
class Importing:
    """A project file that is being imported; nodes declared meanwhile belong to the innermost scanned one.

    `path` is absolute. A helper (its name or a folder's starts with `_`) must not declare any. A file that is neither
    leaves its nodes to the scanned file that imports it.
    """

    path: str
    scanned: bool
    helper: bool


@record(frozen=True, slots=True)
class Collected:
    """A node, the function its own code stands in (under any wrappers), and what that code read when it was declared.

    `values` are the values of `CodeReads.names` and then of the closure cells, held so that they can be compared by
    identity later.
    """

    node: PythonNode
    inner: FunctionType
    values: tuple[object, ...]


class Collector:
    """What decorations add to while a project is loaded."""

    def __init__(self, root: str = "") -> None:
        self.entries: list[Collected] = []
        self.factories: list[Factory] = []
        self.problems: list[Problem] = []
        self._root = root.rstrip("/") + "/" if root else ""
        self._importing: list[Importing] = []
        self._reads: dict[int, tuple[CodeType, CodeReads]] = {}
        self._relative: dict[str, str] = {}
        self._last_place = Place("")

    @property
    def nodes(self) -> list[PythonNode]:
        return [entry.node for entry in self.entries]

    @property
    def home(self) -> str | None:
        """The absolute path of the file that a node declared now belongs to."""
        importing = self._home()
        return importing.path if importing else None

    def _home(self) -> Importing | None:
        for importing in reversed(self._importing):
            if importing.scanned or importing.helper:
                return importing
        return None

    @contextlib.contextmanager
    def importing(self, path: str, *, scanned: bool, helper: bool) -> Iterator[None]:
        self._importing.append(Importing(path, scanned, helper))
        try:
            yield
        finally:
            self._importing.pop()

    def relative(self, path: str) -> str:
        """`path` as it is shown: relative to the project root if it stands below it."""
        found = self._relative.get(path)
        if found is None:
            # One text for all nodes of a file.
            found = self._relative[path] = path.removeprefix(self._root)
        return found

    def reads_of(self, code: CodeType) -> CodeReads:
        # By identity: equal code objects of two files are the same key in a dict. Holding the code keeps its id its own.
        found = self._reads.get(id(code))
        if found is None:
            found = self._reads[id(code)] = (code, reads_of(code))
        return found[1]

    def add(self, node: PythonNode, inner: FunctionType) -> None:
        names = self.reads_of(inner.__code__).names
        values: tuple[object, ...] = ()
        if names:
            read = inner.__globals__.get
            values = tuple([read(name, MISSING) for name in names])
        if inner.__closure__:
            values += cell_values(inner)
        self.entries.append(Collected(node, inner, values))
        self._refuse_in_helper(node.declared.name, node.declared.place)

    def add_factory(self, factory: Factory) -> None:
        self.factories.append(factory)
        self._refuse_in_helper(factory.name, factory.place)

    def _refuse_in_helper(self, name: str, place: Place) -> None:
        home = self._home()
        if home is not None and home.helper:
            self.problems.append(
                Problem(
                    code="HELPER",
                    message=f"{name} is declared in a helper file, which is not searched for nodes",
                    help="move it to a file without `_` in front of its name, or make it in a function such a file calls",
                    path=place.path,
                    line=place.line,
                )
            )

    def running_place(self) -> Place:
        """The line that is running in the file a node would belong to, else the line that called the decorator."""
        frame = caller = frame_of_caller()
        home = self.home
        while frame.f_back is not None and frame.f_code.co_filename != home:
            frame = frame.f_back
        if frame.f_code.co_filename != home:
            frame = caller
        return self.place(frame.f_code.co_filename, frame.f_lineno)

    def place(self, path: str, line: int | None) -> Place:
        place = Place(self.relative(path), line)
        # Nodes that are made in a loop have one place, and there may be many of them.
        if place != self._last_place:
            self._last_place = place
        return self._last_place


def current_collector() -> Collector | None:
    return _collector.get()


@contextlib.contextmanager
def collecting(root: str = "") -> Iterator[Collector]:
    """Collect what is declared in this context; places below `root` are made relative to it."""
    collector = Collector(root)
    with adding_to(collector):
        yield collector


@contextlib.contextmanager
def adding_to(collector: Collector) -> Iterator[None]:
    """Collect what is declared in this context too, for example on another thread."""
    token = _collector.set(collector)
    try:
        yield
    finally:
        _collector.reset(token)
