"""What must hold for loaders and managed sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlbuild.compiler.managed_sources import loader_of, relation_of_loader
from sqlbuild.compiler.nearest_name import NearestName
from sqlbuild.domain.ids import NodeId, NodeKind, kind_of, name_of, node_id
from sqlbuild.domain.nodes import Declaration, Loader, Source, WriteStrategy, place_of_declaration
from sqlbuild.domain.settings import Target
from sqlbuild.errors import Problem

_MAY_READ = (NodeKind.LOADER, NodeKind.TASK, NodeKind.SOURCE, NodeKind.SEED)
_BOUNDARY_HELP = (
    "loaders fill what models read, so they come first: read a source, another loader or a task, or make it an asset"
)


def loader_problems(
    nodes: Mapping[NodeId, Declaration], depends_on: Mapping[NodeId, tuple[NodeId, ...]], target: Target
) -> Iterator[Problem]:
    loaders = {id: each for id, each in nodes.items() if isinstance(each, Loader)}
    yield from _unfilled_sources(nodes, loaders)
    if not loaders:
        return
    needed = {upstream for upstreams in depends_on.values() for upstream in upstreams}
    for id, loader in loaders.items():
        source = nodes.get(node_id(NodeKind.SOURCE, name_of(id)))
        is_bound = isinstance(source, Source) and source.managed
        if not is_bound and source is None and loader.destination is None and id not in needed:
            yield _problem(
                "NO_SOURCE",
                f'the loader "{name_of(id)}" fills no source: there is no managed source of its name, and nothing reads it',
                f"add `- name: {name_of(id)}` with `managed: true` to a file in sources/, or give it a destination",
                loader,
            )
        for message, help in _strategy_problems(loader):
            yield _problem("LOADER", f"{name_of(id)}: {message}", help, source if is_bound and source else loader)
        yield from _boundary(id, loader, depends_on)
    yield from _shared_tables(nodes, loaders, target)


def _unfilled_sources(nodes: Mapping[NodeId, Declaration], loaders: Mapping[NodeId, Loader]) -> Iterator[Problem]:
    nearest = NearestName(name_of(id) for id in loaders)
    for id, source in nodes.items():
        if isinstance(source, Source) and source.managed and loader_of(source) not in loaders:
            name = name_of(id)
            help = nearest.help(name, f"write `@loader def {name}(ctx): ...` in loaders/, or remove `managed: true`")
            yield _problem("NO_LOADER", f'the managed source "{name}" has no loader of its name', help, source)


def _strategy_problems(loader: Loader) -> Iterator[tuple[str, str]]:
    """What is wrong with how the settings go together, with the fix."""
    strategy, cursor, key = loader.write_strategy, loader.cursor_column, loader.unique_key
    if strategy is None and (cursor is not None or key):
        given = "cursor_column" if cursor is not None else "unique_key"
        yield f"{given} without a write_strategy", "add write_strategy, for example merge"
    elif strategy is WriteStrategy.TABLE and (cursor is not None or key):
        given = "cursor_column" if cursor is not None else "unique_key"
        yield f"write_strategy table replaces all rows and has no {given}", f"remove {given}, or use merge"
    elif strategy is WriteStrategy.MERGE and not key:
        yield "write_strategy merge needs unique_key", "name the columns that tell rows apart"
    elif strategy is WriteStrategy.DELETE_INSERT and cursor is None:
        yield "write_strategy delete_insert needs cursor_column", "name the column whose range is replaced"
    elif key and strategy in (WriteStrategy.APPEND, WriteStrategy.DELETE_INSERT):
        yield f"write_strategy {strategy} has no unique_key", "remove unique_key, or use merge"
    declared = {column.name.lower() for column in loader.columns}
    if loader.contract == "enforced":
        if not declared:
            yield 'contract "enforced" needs columns', "declare the columns that the table has"
            return
        for name in filter(None, (cursor, *key)):
            if name.lower() not in declared:
                yield f"{name} is not among the declared columns, which are enforced", "declare it, or correct its name"


def _boundary(id: NodeId, loader: Loader, depends_on: Mapping[NodeId, tuple[NodeId, ...]]) -> Iterator[Problem]:
    """A loader reads loaders, tasks and sources; none of these reads a model, however far up."""
    name = name_of(id)
    for upstream in depends_on[id]:
        kind = kind_of(upstream)
        if kind not in _MAY_READ and kind is not NodeKind.MODEL:
            article = "an" if kind is NodeKind.ASSET else "a"
            message = f"the loader {name} depends on {name_of(upstream)}, which is {article} {kind}"
            yield _problem("SQL_BOUNDARY", message, "a loader depends on loaders, tasks, sources and seeds", loader)
            continue
        path = _path_to_a_model(upstream, depends_on)
        if path is not None:
            message = f"the loader {name} depends on the model {name_of(path[-1])}"
            if len(path) > 1:
                message += " through " + ", ".join(map(name_of, path[:-1]))
            yield _problem("SQL_BOUNDARY", message, _BOUNDARY_HELP, loader)


def _path_to_a_model(start: NodeId, depends_on: Mapping[NodeId, tuple[NodeId, ...]]) -> list[NodeId] | None:
    """From `start` up to the nearest model; None if there is none. Does not call itself, so depth is no limit."""
    came_from: dict[NodeId, NodeId | None] = {start: None}
    waiting = [start]
    for node in waiting:
        if kind_of(node) is NodeKind.MODEL:
            path: list[NodeId] = [node]
            while (before := came_from[path[-1]]) is not None:
                path.append(before)
            return path[::-1]
        for upstream in depends_on.get(node, ()):
            if upstream not in came_from:
                came_from[upstream] = node
                waiting.append(upstream)
    return None


def _shared_tables(
    nodes: Mapping[NodeId, Declaration], loaders: Mapping[NodeId, Loader], target: Target
) -> Iterator[Problem]:
    """No table is filled by two loaders. That no model builds what a source reads is told of all sources."""
    filled: dict[tuple[str, str, str], NodeId] = {}
    for id, loader in loaders.items():
        relation = relation_of_loader(loader, nodes, target)
        key = (relation.database.lower(), relation.schema.lower(), relation.name.lower())
        first = filled.setdefault(key, id)
        if first != id:
            message = f"the loader {name_of(id)} fills {relation}, as {name_of(first)} does"
            yield _problem("DUPLICATE_RELATION", message, "give one of them another destination", loader)


def _problem(code: str, message: str, help: str, declaration: Declaration) -> Problem:
    place = place_of_declaration(declaration)
    return Problem(code=code, message=message, help=help, path=place.path, line=place.line, column=place.column)
