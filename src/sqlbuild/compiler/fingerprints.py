"""What nodes are made of, as digests: the same as long as nothing changes that could change their results.

Descriptions, tags, groups and places do not count, nor does any other `meta` than `version`.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping

from sqlbuild.compiler.node_columns import NodeColumns
from sqlbuild.domain.columns import Column
from sqlbuild.domain.csv_settings import CsvSettings
from sqlbuild.domain.graph import Fingerprint, Graph, Node
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.nodes import (
    Asset,
    Audit,
    Check,
    Declaration,
    Function,
    Loader,
    Model,
    PythonFunction,
    PythonNode,
    Seed,
    Source,
    Task,
    UnitTest,
)
from sqlbuild.domain.project import CodeFacts

DIGEST_BYTES = 16
_GROWTH = frozenset(
    {"strategy", "unique_key", "cursor", "cursor_type", "grain", "start", "end", "inputs", "lookback", "append_inclusive",
     "merge_exclude", "is_microbatch"}
)  # fmt: skip
"""Fields of `Incremental` that say what gets into the table; not how much of it in one go, and what is done on changes."""
_NO_FACTS = CodeFacts(source_digest="")


def fingerprint_of(
    node: NodeId,
    declaration: Declaration,
    columns: NodeColumns | None,
    facts: CodeFacts | None,
    upstream: Iterable[Fingerprint],
    vars: str = "",
    hooks: tuple[object, ...] = (),
    functions: Iterable[Fingerprint] = (),
) -> Fingerprint:
    """`vars` is the text of the project's vars, which counts where a node's code reads them. `columns.code` is the digest of a model's or source's SQL, `facts` what is known of a Python node's code;
    `upstream` are the fingerprints of what the node depends on, in any order; `hooks` is what a model's hooks are made of,
    `functions` are the fingerprints of those of its upstreams that are SQL functions."""
    if isinstance(declaration, PythonNode):
        code = _digest_of_code(facts or _NO_FACTS)
    else:
        code = columns.code if columns is not None else ""
        if isinstance(declaration, Model) and declaration.incremental is not None:
            # What is in the table already was cast to the columns as they were declared then, and made by the
            # functions as they were then: both are changes of the model's own, by which it may be built again.
            called = "".join(sorted(each.total for each in functions))
            code = _digest(f"{code}\x1f{_columns(declaration.columns)!r}{called}")
    read_vars = vars if facts is not None and facts.reads_vars else ""
    settings = _digest(repr(_settings(declaration)) + read_vars + (repr(hooks) if hooks else ""))
    totals = sorted(each.total for each in upstream)
    upstream_digest = _digest("".join(totals)) if totals else _NOTHING
    total = _digest(f"{node}\x1f{code}\x1f{settings}\x1f{upstream_digest}")
    return Fingerprint(code=code, settings=settings, upstream=upstream_digest, total=total)


def with_data_versions(graph: Graph, versions: Mapping[NodeId, str]) -> Graph:
    """The same graph where the data of the sources in `versions` has those versions: new data is a change upstream."""
    if not versions:
        return graph
    nodes: dict[NodeId, Node] = {}
    for id, node in graph.nodes.items():
        version = versions.get(id)
        if version is not None:
            upstream = _digest(version)
        elif any(nodes[near] is not graph.nodes[near] for near in node.depends_on):
            upstream = _digest("".join(sorted(nodes[near].fingerprint.total for near in node.depends_on)))
        else:
            nodes[id] = node
            continue
        before = node.fingerprint
        total = _digest(f"{id}\x1f{before.code}\x1f{before.settings}\x1f{upstream}")
        nodes[id] = dataclasses.replace(node, fingerprint=before.with_upstream(upstream, total))
    return dataclasses.replace(graph, nodes=nodes)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()


_NOTHING = _digest("")


def _digest_of_code(facts: CodeFacts) -> str:
    if not facts.values:
        return _digest(facts.source_digest)
    values = "\x1e".join(f"{name}\x1f{value}" for name, value in sorted(facts.values.items()))
    return _digest(f"{facts.source_digest}\x1d{values}")


def _settings(declaration: Declaration) -> tuple[object, ...]:
    match declaration:
        case Model():
            return (
                declaration.materialized.value,
                declaration.schema,
                declaration.database,
                declaration.alias,
                declaration.retry,
                declaration.timeout,
                declaration.pools,
                _columns(declaration.columns),
                _version(declaration.meta),
                *_of_relation(declaration),
                *(("contract", declaration.contract) if declaration.contract is not None else ()),
                *_of_growth(declaration),
            )
        case Function():
            return (
                declaration.schema,
                declaration.database,
                _columns(declaration.arguments),
                declaration.returns,
                _columns(declaration.columns),
                _version(declaration.meta),
            )
        case Source():
            casts = () if declaration.type_enforcement else ("uncast",)
            others = ("other columns",) if declaration.has_other_columns else ()
            return (_columns(declaration.columns), _version(declaration.meta), *casts, *others)
        case Seed():
            return (
                declaration.schema,
                declaration.database,
                declaration.retry,
                declaration.timeout,
                declaration.pools,
                _columns(declaration.columns),
                _version(declaration.meta),
                *_of_csv(declaration.csv),
            )
        case Audit():
            return (declaration.severity.value, declaration.run_scope.value, _version(declaration.meta))
        case Task(declared=declared):
            return _of_function(declared)
        case Asset(declared=declared):
            lineage = sorted(declaration.column_lineage.items()) if declaration.column_lineage else ()
            return (*_of_function(declared), _columns(declaration.columns), lineage)
        case Loader(declared=declared):
            return (
                *_of_function(declared),
                declaration.write_strategy,
                declaration.cursor_column,
                declaration.unique_key,
                declaration.destination,
                declaration.contract,
                _columns(declaration.columns),
            )
        case Check(declared=declared):
            return (*_of_function(declared), declaration.severity.value)
        case UnitTest():
            return (_version(declaration.meta),)


def _of_function(declared: PythonFunction) -> tuple[object, ...]:
    settings: tuple[object, ...] = (
        declared.retry,
        declared.timeout,
        declared.pools,
        declared.requires,
        _version(declared.meta),
    )
    if declared.isolated:
        settings = (*settings, "process")
    return (*settings, declared.providers) if declared.providers else settings


def _of_relation(model: Model) -> tuple[object, ...]:
    """Nothing for models without any: their fingerprints are those of versions that did not know these."""
    indexes = tuple(index.facts() for index in model.indexes)
    grants = tuple(sorted((privilege, tuple(sorted(roles))) for privilege, roles in model.grants.items()))
    return (indexes, grants) if indexes or grants else ()


def _of_csv(csv: CsvSettings) -> tuple[object, ...]:
    return tuple([repr(getattr(csv, field.name)) for field in dataclasses.fields(csv)])


def _of_growth(model: Model) -> tuple[object, ...]:
    grows = model.incremental
    if grows is None:
        return ()
    return tuple(
        (field.name, getattr(grows, field.name)) for field in dataclasses.fields(grows) if field.name in _GROWTH
    )


def _columns(columns: tuple[Column, ...]) -> tuple[object, ...]:
    return tuple([(column.name, column.type, column.nullable) for column in columns]) if columns else ()


def _version(meta: Mapping[str, object]) -> object:
    return meta.get("version") if meta else None
