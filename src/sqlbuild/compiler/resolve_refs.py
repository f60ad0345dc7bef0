"""Names and functions become node ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlbuild.authoring.declare import declaration_of
from sqlbuild.compiler.managed_sources import loader_of, merge_managed
from sqlbuild.compiler.model_hooks import reads_of_hooks
from sqlbuild.compiler.nearest_name import NearestName
from sqlbuild.domain.ids import NodeId, NodeKind, Place, kind_of, node_id
from sqlbuild.domain.nodes import (
    Asset,
    Audit,
    Check,
    Declaration,
    Function,
    Loader,
    Model,
    PythonNode,
    Source,
    Task,
    kind_of_declaration,
    name_of_declaration,
)
from sqlbuild.domain.project import Project
from sqlbuild.domain.record import record
from sqlbuild.errors import Problem
from sqlbuild.refs import CALLS, Reference, ReferenceKind

_READABLE: Mapping[NodeKind, ReferenceKind] = {
    NodeKind.MODEL: "model",
    NodeKind.SOURCE: "source",
    NodeKind.SEED: "seed",
}


@record(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The declarations of a project by node id, in their order, and what each one depends on.

    Of several declarations with one kind and name the first is kept; a managed source and its loader say the same. `depends_on` has no unknown nodes.
    """

    nodes: Mapping[NodeId, Declaration]
    by_name: Mapping[str, NodeId]
    depends_on: Mapping[NodeId, tuple[NodeId, ...]]
    problems: tuple[Problem, ...] = ()


def resolve_refs(project: Project) -> Resolved:
    """Find what every model, audit, task and asset depends on. Whatever cannot be found is a problem."""
    nodes: dict[NodeId, Declaration] = {}
    by_name: dict[str, NodeId] = {}
    functions: dict[int, NodeId] = {}
    for declaration in project.declarations:
        name = name_of_declaration(declaration)
        found = node_id(kind_of_declaration(declaration), name)
        nodes.setdefault(found, declaration)
        by_name.setdefault(name, found)
        if isinstance(declaration, PythonNode):
            functions[id(declaration.declared.function)] = found
    merge_managed(nodes)
    resolver = _Resolver(project, nodes, by_name, functions)
    depends_on: dict[NodeId, tuple[NodeId, ...]] = {}
    for found, declaration in nodes.items():
        match declaration:
            case Model() | Function():
                depends_on[found] = resolver.of_sql(declaration)
            case Audit():
                depends_on[found] = resolver.of_audit(declaration)
            case (
                Task(declared=declared)
                | Asset(declared=declared)
                | Loader(declared=declared)
                | Check(declared=declared)
            ):
                depends_on[found] = (
                    resolver.of_python(declared.depends_on, declared.name, declared.place)
                    if declared.depends_on
                    else ()
                )
            case Source() if declaration.managed and loader_of(declaration) in nodes:
                depends_on[found] = (loader_of(declaration),)
            case _:
                depends_on[found] = ()
    return Resolved(nodes=nodes, by_name=by_name, depends_on=depends_on, problems=tuple(resolver.problems))


class _Resolver:
    def __init__(
        self,
        project: Project,
        nodes: Mapping[NodeId, Declaration],
        by_name: Mapping[str, NodeId],
        functions: Mapping[int, NodeId],
    ) -> None:
        self.project = project
        self.nodes = nodes
        self.by_name = by_name
        self.functions = functions
        self.problems: list[Problem] = []
        self.nearest = NearestName(by_name)
        self.kinds = {kind_of(found) for found in by_name.values()}
        self.unread = _UnreadFiles(project)

    def of_sql(self, declared: Model | Function) -> tuple[NodeId, ...]:
        found = [
            self.reference(each.reference, declared.name, each.place, call=each.call or CALLS[each.reference.kind])
            for each in (*declared.references, *declared.passed)
        ]
        if isinstance(declared, Model):
            found += [
                self.reference(read, declared.name, place, call=call)
                for read, place, call in reads_of_hooks(declared, self.project)
            ]
        return tuple(dict.fromkeys(each for each in found if each is not None))

    def of_audit(self, audit: Audit) -> tuple[NodeId, ...]:
        """What it is attached to comes first, also if its query does not read that."""
        found = [] if audit.target is None else [node_id(audit.target.kind, audit.target.name)]
        read = (
            self.reference(each.reference, audit.name, each.place, call=each.call or CALLS[each.reference.kind])
            for each in (*audit.references, *audit.passed)
        )
        return tuple(dict.fromkeys((*found, *(each for each in read if each is not None))))

    def of_python(
        self, upstreams: tuple[Reference | Callable[..., object], ...], name: str, place: Place
    ) -> tuple[NodeId, ...]:
        found: list[NodeId | None] = []
        for upstream in upstreams:
            if isinstance(upstream, Reference):
                found.append(self.reference(upstream, name, place))
            else:
                known = self.functions.get(id(upstream))
                found.append(known if known is not None else self.function(upstream, name, place))
        return tuple(dict.fromkeys(each for each in found if each is not None))

    def reference(self, reference: Reference, reader: str, place: Place, *, call: str = "") -> NodeId | None:
        """The node that `reference` means, for the node called `reader`; None with a problem.

        `call` is the word it is written with in SQL, empty outside of that.
        """
        found = node_id(reference.kind, reference.name)
        if found in self.nodes:
            return found
        other = self.by_name.get(reference.name)
        if other is not None:
            self._problem(*_wrong_kind(reference, reader, kind_of(other), call), place)
        elif not self.unread.may_hold(reference):
            otherwise = f"declare a {reference.kind} of that name"
            if reference.kind not in self.kinds:
                otherwise += "; the project has none yet"
            help = self.nearest.help(reference.name, otherwise)
            message = f'{reader} reads {_written(reference, call)}, but there is no {reference.kind} "{reference.name}"'
            self._problem("UNKNOWN_REFERENCE", message, help, place)
        return None

    def function(self, function: Callable[..., object], reader: str, place: Place) -> NodeId | None:
        """A function that is no node of this project."""
        shown = getattr(function, "__name__", None) or repr(function)
        node = declaration_of(function)
        if node is None:
            message = f"{reader} depends on {shown}, which is not a node"
            self._problem("NOT_A_NODE", message, "decorate it with @task, @asset or @loader", place)
            return None
        there = node.declared.place
        message = f"{reader} depends on {node.declared.name} ({there}), which is not a node of this project"
        help = "declare it in a file under assets/, tasks/, loaders/ or python/ whose name does not start with _"
        self._problem("NOT_IN_PROJECT", message, help, place)
        return None

    def _problem(self, code: str, message: str, help: str, place: Place) -> None:
        self.problems.append(
            Problem(code=code, message=message, help=help, path=place.path, line=place.line, column=place.column)
        )


def _written(reference: Reference, call: str) -> str:
    return f'{call}("{reference.name}")' if call else repr(reference).replace("'", '"')


def _wrong_kind(reference: Reference, reader: str, kind: NodeKind, call: str) -> tuple[str, str, str]:
    """Code, message and help for a reference to a node of another kind."""
    written = _written(reference, call)
    message = f'{reader} reads {written}, but "{reference.name}" is {_with_article(kind)}'
    readable = _READABLE.get(kind)
    if readable is not None:
        return (
            "UNKNOWN_REFERENCE",
            message,
            f"write {_written(Reference(readable, reference.name), CALLS[readable] if call else '')}",
        )
    if kind is NodeKind.FUNCTION:
        help = f'call it: __udf("{reference.name}")(...), or __table_fn if it gives a table'
        return "UNKNOWN_REFERENCE", message, help
    if call:
        help = (
            "SQL models read only models, sources and seeds, never Python nodes: "
            "declare a source with `managed: true` and let a @loader of its name fill it"
        )
        return "SQL_BOUNDARY", message, help
    return "UNKNOWN_REFERENCE", message, "give the function itself in depends_on"


def _with_article(kind: NodeKind) -> str:
    return f"an {kind}" if kind is NodeKind.ASSET else f"a {kind}"


class _UnreadFiles:
    """Files with errors: a name that is not found may be declared in one of them."""

    def __init__(self, project: Project) -> None:
        paths = {problem.path for problem in project.problems if problem.severity == "error"}
        self._models = {_stem(path) for path in paths if path.endswith(".sql")}
        self._sources = any(path.startswith("sources/") for path in paths)
        self._seeds = any(path.startswith("seeds/") for path in paths)

    def may_hold(self, reference: Reference) -> bool:
        match reference.kind:
            case "source":
                return self._sources
            case "seed":
                return self._seeds
            case "model" | "function":
                return reference.name in self._models


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".sql")
