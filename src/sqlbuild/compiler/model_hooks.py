"""The hooks of models: what they read, and what runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlbuild.authoring.hook_functions import context_parameter, provider_parameters
from sqlbuild.domain.graph import Node
from sqlbuild.domain.hooks import CompiledHook, ModelHook, PythonHook, SqlHook
from sqlbuild.domain.ids import NodeId, Place, node_id
from sqlbuild.domain.nodes import Model, Source
from sqlbuild.domain.project import Project
from sqlbuild.refs import CALLS, Reference
from sqlbuild.sql.rendering import Readable, render_references, render_source_expression


def hooks_of(model: Model) -> tuple[ModelHook, ...]:
    return (*model.pre_hooks, *model.post_hooks)


def reads_of_hooks(model: Model, project: Project) -> Iterator[tuple[Reference, Place, str]]:
    """What hooks of the model read, where that is written, and the word for it in SQL, empty in Python."""
    for hook in hooks_of(model):
        match hook:
            case SqlHook():
                for each in (*hook.references, *hook.passed):
                    yield each.reference, each.place, each.call or CALLS[each.reference.kind]
            case PythonHook() if hook.name in project.hooks:
                declared = project.hooks[hook.name]
                for read in declared.depends_on:
                    if isinstance(read, Reference):
                        yield read, declared.place, ""
            case _:
                pass


def compile_hooks(model: Model, project: Project, upstream: Mapping[NodeId, Node]) -> tuple[CompiledHook, ...]:
    """What runs, of a project without problems. `upstream` has every node that the model depends on."""
    return tuple(_compiled(hook, project, upstream) for hook in hooks_of(model))


def hook_facts(model: Model, project: Project) -> tuple[object, ...]:
    """What the model's fingerprint covers of its hooks; nothing for a model without any."""
    return tuple(_facts(hook, project) for hook in hooks_of(model))


def providers_of_hooks(model: Model, project: Project) -> tuple[str, ...]:
    names = [provider.name for provider in project.providers]
    found: dict[str, None] = {}
    for hook in hooks_of(model):
        if isinstance(hook, PythonHook) and hook.name in project.hooks:
            declared = project.hooks[hook.name]
            found.update(dict.fromkeys(provider_parameters(declared.function, hook.arguments, names)))
            facts = project.code.get(node_id("hook", hook.name))
            found.update(dict.fromkeys(facts.providers if facts is not None else ()))
    return tuple(found)


def _compiled(hook: ModelHook, project: Project, upstream: Mapping[NodeId, Node]) -> CompiledHook:
    match hook:
        case SqlHook():
            readables = {each.reference: _readable(each.reference, upstream) for each in hook.references}
            return CompiledHook(
                declared=hook, place=hook.place, sql=render_references(hook.sql, hook.references, readables)
            )
        case PythonHook():
            declared = project.hooks[hook.name]
            names = [provider.name for provider in project.providers]
            return CompiledHook(
                declared=hook,
                place=declared.place,
                function=declared.function,
                is_async=declared.is_async,
                context=context_parameter(declared.function),
                providers=provider_parameters(declared.function, hook.arguments, names),
            )


def _readable(reference: Reference, upstream: Mapping[NodeId, Node]) -> Readable:
    node = upstream[node_id(reference.kind, reference.name)]
    query = None
    if isinstance(node.declaration, Source) and node.sql is not None:
        query = render_source_expression(node.sql)
    alias = node.relation.name if node.relation is not None else node.name
    return Readable(alias=alias, relation=node.relation, query=query)


def _facts(hook: ModelHook, project: Project) -> tuple[object, ...]:
    match hook:
        case SqlHook():
            return hook.phase.value, hook.sql
        case PythonHook():
            facts = project.code.get(node_id("hook", hook.name))
            code = (facts.source_digest, sorted(facts.values.items())) if facts is not None else ()
            seen = project.settings.vars if facts is not None and facts.reads_vars else {}
            return hook.phase.value, hook.name, sorted(hook.arguments.items()), code, sorted(seen.items())
