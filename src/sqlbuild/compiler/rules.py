"""What must hold for a project, one rule per function."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from sqlbuild.compiler.audit_waits import audits_of_cycle, waiting_in_a_circle
from sqlbuild.compiler.check_rules import check_boundaries
from sqlbuild.compiler.function_rules import call_problems
from sqlbuild.compiler.incremental_rules import incremental_problems
from sqlbuild.compiler.loader_rules import loader_problems
from sqlbuild.compiler.managed_sources import relation_of_source
from sqlbuild.compiler.model_hooks import hooks_of
from sqlbuild.compiler.nearest_name import NearestName
from sqlbuild.compiler.node_columns import NodeColumns
from sqlbuild.compiler.python_sql_rules import literal_names
from sqlbuild.compiler.relation_rules import (
    files_read_on_postgres,
    ignored_by_duckdb,
    impossible_indexes,
    long_names,
    other_databases,
)
from sqlbuild.compiler.relations import relation_of_model, relation_of_seed
from sqlbuild.compiler.resolve_refs import Resolved
from sqlbuild.compiler.topological_order import Order
from sqlbuild.domain.columns import Column
from sqlbuild.domain.hooks import SqlHook
from sqlbuild.domain.ids import NodeId, NodeKind, Place, kind_of, name_of
from sqlbuild.domain.nodes import (
    Asset,
    Audit,
    Check,
    Declaration,
    Function,
    Loader,
    Model,
    Seed,
    Source,
    Task,
    UnitTest,
    kind_of_declaration,
    name_of_declaration,
    place_of_declaration,
)
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.project import Project
from sqlbuild.domain.record import record
from sqlbuild.errors import Problem

MAX_NAME_LENGTH = 63
"""Bytes of an identifier that PostgreSQL keeps."""
RESERVED_PREFIX = "_sqlbuild"
"""Of the tables that hold sqlbuild's own state, in the schema of the target."""
SHOWN_OF_A_CYCLE = 4
"""Names at each end of a long cycle's message."""

_NAME = pattern(r"[a-z_][a-z0-9_]*")
_TYPE = pattern(r"""(?:[^'"();\[\]{}\\-]|'[^']*'|"[^"]*"|[(\[]|[)\]]|-(?!-))+""")


@record(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the rules look at."""

    project: Project
    resolved: Resolved
    order: Order
    columns: Mapping[NodeId, NodeColumns]


Rule = Callable[[Checked], Iterable[Problem]]


def names_are_unique(checked: Checked) -> Iterator[Problem]:
    """Over all kinds: `orders` cannot be a model and an asset."""
    holders: dict[str, Declaration] = {}
    for declaration in checked.project.declarations:
        name = name_of_declaration(declaration)
        first = holders.setdefault(name, declaration)
        if first is not declaration and not _fills(first, declaration) and not _fills(declaration, first):
            kind, other = kind_of_declaration(declaration), kind_of_declaration(first)
            message = f'the {kind} "{name}" has the name of the {other} at {place_of_declaration(first)}'
            help = "rename one of the two"
            if {kind, other} == {NodeKind.SOURCE, NodeKind.LOADER}:
                help = "add `managed: true` to the source if the loader fills it, else rename one of the two"
            yield _problem("DUPLICATE_NAME", message, help, place_of_declaration(declaration))


def _fills(loader: Declaration, source: Declaration) -> bool:
    """The one pair that has one name."""
    return isinstance(loader, Loader) and isinstance(source, Source) and source.managed


def loaders_fill_sources(checked: Checked) -> Iterable[Problem]:
    """Managed sources have loaders, loaders have sources, and models come after both."""
    target = checked.project.settings.target
    return loader_problems(checked.resolved.nodes, checked.resolved.depends_on, target)


def names_are_snake_case(checked: Checked) -> Iterator[Problem]:
    for node, declaration in checked.resolved.nodes.items():
        name = name_of(node)
        if isinstance(declaration, UnitTest) or (isinstance(declaration, Audit) and declaration.target is not None):
            # No relation is called like it: it may be a sentence.
            continue
        if not _NAME.fullmatch(name):
            message = f'the name of the {kind_of(node)} "{name}" is not lowercase snake_case'
            help = "use lowercase letters, digits and _ only, and no digit at the start"
        elif len(name) > MAX_NAME_LENGTH:
            message = f'the name of the {kind_of(node)} "{name[:20]}..." has {len(name)} characters'
            help = f"use at most {MAX_NAME_LENGTH}"
        else:
            continue
        yield _problem("BAD_NAME", message, help, place_of_declaration(declaration))


def pools_exist(checked: Checked) -> Iterator[Problem]:
    pools = checked.project.settings.pools
    nearest = NearestName(pools)
    for node, declaration in checked.resolved.nodes.items():
        named: tuple[str, ...] = ()
        match declaration:
            case Model(pools=pools_of_model) | Seed(pools=pools_of_model) | UnitTest(pools=pools_of_model):
                named = pools_of_model
            case Audit(pools=pools_of_audit, target=None):
                named = pools_of_audit
            case (
                Task(declared=declared)
                | Asset(declared=declared)
                | Loader(declared=declared)
                | Check(declared=declared)
            ):
                named = declared.pools
        for pool in named:
            if pool not in pools:
                message = f'{name_of(node)} uses the pool "{pool}", which the settings do not have'
                help = nearest.help(pool, f"add [pools.{pool}] to sqlbuild_project.toml")
                yield _problem("UNKNOWN_POOL", message, help, place_of_declaration(declaration))


def relations_are_built_once(checked: Checked) -> Iterator[Problem]:
    """No model or seed replaces what another one builds, what a source reads, or the tables with sqlbuild's state."""
    target = checked.project.settings.target
    builders: dict[tuple[str, str, str], NodeId] = {}
    for node, declaration in checked.resolved.nodes.items():
        match declaration:
            case Model():
                relation = relation_of_model(declaration, target)
            case Seed():
                relation = relation_of_seed(declaration, target)
            case _:
                continue
        key = (relation.database.lower(), relation.schema.lower(), relation.name.lower())
        if key[2].startswith(RESERVED_PREFIX):
            message = f"{name_of(node)} builds {relation}, a name that sqlbuild keeps for its own tables"
            yield _problem("DUPLICATE_RELATION", message, "choose another name or alias", declaration.place)
        first = builders.setdefault(key, node)
        if first != node:
            there = place_of_declaration(checked.resolved.nodes[first])
            message = f"{name_of(node)} builds {relation}, as {name_of(first)} at {there} does"
            is_seed = kind_of(node) is NodeKind.SEED and kind_of(first) is NodeKind.SEED
            help = "give one another `schema`" if is_seed else "give one an `alias` or another `schema`"
            yield _problem("DUPLICATE_RELATION", message, help, declaration.place)
    for node, declaration in checked.resolved.nodes.items():
        named = relation_of_source(declaration, target) if isinstance(declaration, Source) else None
        if named is None:
            continue
        builder = builders.get((named.database.lower(), named.schema.lower(), named.name.lower()))
        if builder is not None:
            there = place_of_declaration(checked.resolved.nodes[builder])
            kind, call = kind_of(builder), "__seed" if kind_of(builder) is NodeKind.SEED else "__ref"
            message = f"the source {name_of(node)} is the table {named}, which the {kind} {name_of(builder)} replaces"
            help = f'read the {kind} with {call}("{name_of(builder)}"), or give it another name or schema ({there})'
            yield _problem("DUPLICATE_RELATION", message, help, place_of_declaration(declaration))


def there_are_no_cycles(checked: Checked) -> Iterator[Problem]:
    for cycle in checked.order.cycles:
        if audits_of_cycle(checked.resolved, cycle):
            continue
        place = _place_of_dependency(checked.resolved.nodes[cycle[0]], cycle[1 % len(cycle)])
        if len(cycle) == 1:
            message = f"{name_of(cycle[0])} depends on itself: {_chain(cycle)}"
        else:
            message = f"{len(cycle)} nodes depend on each other: {_chain(cycle)}"
        yield _problem("CYCLE", message, "each one depends on the next; remove one of these dependencies", place)


def column_types_are_types(checked: Checked) -> Iterator[Problem]:
    """A declared type becomes SQL: it must not be anything else."""
    for node, declaration in checked.resolved.nodes.items():
        columns: tuple[Column, ...] = (
            () if isinstance(declaration, Task | Check | UnitTest | Audit) else declaration.columns
        )
        typed = [(column.type, f"the column {column.name}") for column in columns]
        if isinstance(declaration, Function):
            typed += [(each.type, f"the argument {each.name}") for each in declaration.arguments]
            typed.append((declaration.returns or None, "what it returns"))
        for type_name, what in typed:
            if type_name is not None and not _is_type(type_name):
                message = f"{name_of(node)}: {type_name!r} is not a type, of {what}"
                help = "write a type of the warehouse, for example INTEGER or DECIMAL(10, 2)"
                yield _problem("BAD_TYPE", message, help, place_of_declaration(declaration))


def asset_lineage_exists(checked: Checked) -> Iterator[Problem]:
    """`column_lineage` goes from declared columns of the asset to nodes, and columns of them, that exist."""
    for node, declaration in checked.resolved.nodes.items():
        if isinstance(declaration, Asset) and declaration.column_lineage:
            yield from _lineage_of_asset(checked, node, declaration)


def python_refers_to_relations(checked: Checked) -> Iterable[Problem]:
    """Where its SQL is written out, it does not name them."""
    return literal_names(checked.project, checked.resolved, checked.columns)


def functions_are_called_as_declared(checked: Checked) -> Iterable[Problem]:
    return call_problems(checked.resolved.nodes)


def audits_wait_for_nobody_behind_them(checked: Checked) -> Iterable[Problem]:
    return waiting_in_a_circle(checked.resolved, checked.order)


def checks_come_last(checked: Checked) -> Iterable[Problem]:
    return check_boundaries(checked.resolved)


def names_are_kept_whole(checked: Checked) -> Iterable[Problem]:
    """On PostgreSQL, by their bytes."""
    return long_names(checked.resolved.nodes, checked.columns, checked.project.settings.target)


def relations_can_be_made(checked: Checked) -> Iterator[Problem]:
    """In their database, with their indexes and grants, of what it can read."""
    nodes, target = checked.resolved.nodes, checked.project.settings.target
    yield from other_databases(nodes, target)
    yield from impossible_indexes(nodes, checked.columns, target)
    yield from ignored_by_duckdb(nodes, target)
    yield from files_read_on_postgres(nodes, target)


def incremental_models_can_grow(checked: Checked) -> Iterable[Problem]:
    """Their keys fit together, and name what is there."""
    return incremental_problems(checked.resolved.nodes, checked.columns)


RULES: tuple[Rule, ...] = (
    names_are_unique,
    names_are_snake_case,
    pools_exist,
    loaders_fill_sources,
    relations_are_built_once,
    names_are_kept_whole,
    relations_can_be_made,
    incremental_models_can_grow,
    there_are_no_cycles,
    audits_wait_for_nobody_behind_them,
    column_types_are_types,
    asset_lineage_exists,
    python_refers_to_relations,
    functions_are_called_as_declared,
    checks_come_last,
)


def _lineage_of_asset(checked: Checked, node: NodeId, asset: Asset) -> Iterator[Problem]:
    name, place = name_of(node), asset.declared.place
    own = NearestName(column.name for column in asset.columns)
    declared = {column.name for column in asset.columns}
    nodes = NearestName(checked.resolved.by_name)
    for column, origins in asset.column_lineage.items():
        if column not in declared:
            message = f'{name}: column_lineage has "{column}", which `columns` does not declare'
            yield _problem("UNKNOWN_COLUMN", message, own.help(column, "add it to `columns`"), place)
        for origin, origin_column in origins:
            upstream = checked.resolved.by_name.get(origin)
            if upstream is None:
                message = f'{name}: column_lineage of "{column}" names the node "{origin}", which does not exist'
                yield _problem("UNKNOWN_NODE", message, nodes.help(origin, "give the name of a node"), place)
                continue
            known = checked.columns.get(upstream)
            if known is None or not known.complete or known.columns is None:
                continue
            if origin_column.lower() not in {each.name.lower() for each in known.columns}:
                names = [each.name for each in known.columns]
                message = f'{name}: column_lineage of "{column}" names {origin}.{origin_column}, which does not exist'
                help = NearestName(names).help(origin_column, f"{origin} has {', '.join(names[:8])}")
                yield _problem("UNKNOWN_COLUMN", message, help, place)


def _place_of_dependency(declaration: Declaration, upstream: NodeId) -> Place:
    """The reference in SQL; for Python nodes the node itself."""
    if isinstance(declaration, Model | Function):
        for found in (*declaration.references, *declaration.passed):
            if found.reference.kind == kind_of(upstream) and found.reference.name == name_of(upstream):
                return found.place
        for hook in hooks_of(declaration) if isinstance(declaration, Model) else ():
            for found in hook.references if isinstance(hook, SqlHook) else ():
                if found.reference.kind == kind_of(upstream) and found.reference.name == name_of(upstream):
                    return found.place
    return place_of_declaration(declaration)


def _chain(cycle: tuple[NodeId, ...]) -> str:
    names = [name_of(node) for node in (*cycle, cycle[0])]
    left_out = len(names) - 2 * SHOWN_OF_A_CYCLE
    if left_out > 1:
        names[SHOWN_OF_A_CYCLE:-SHOWN_OF_A_CYCLE] = [f"({left_out} more)"]
    return " -> ".join(names)


def _is_type(text: str) -> bool:
    if not text.strip() or not _TYPE.fullmatch(text) or "/*" in text:
        return False
    depth = 0
    for character in re.sub(r"""'[^']*'|"[^"]*\"""", "", text):
        depth += (character in "([") - (character in ")]")
        if depth < 0:
            return False
    return depth == 0


def _problem(code: str, message: str, help: str, place: Place) -> Problem:
    return Problem(code=code, message=message, help=help, path=place.path, line=place.line, column=place.column)
