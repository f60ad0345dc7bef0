"""The SQL of models and functions as it is kept in the target, to be compared with what it is later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlbuild.domain.graph import Fingerprint, Node
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.masking import Masker
from sqlbuild.domain.nodes import Function, Model
from sqlbuild.domain.past import Past

SqlKey = tuple[NodeId, str]
"""A model or function and the digest of its SQL that is the `code` of its fingerprint."""


def sql_to_keep(nodes: Iterable[Node], masker: Masker) -> dict[SqlKey, str]:
    """The SQL of all models and functions among `nodes`, secrets masked."""
    return {
        (node.id, node.fingerprint.code): masker.text(node.declaration.sql) if masker else node.declaration.sql
        for node in nodes
        if isinstance(node.declaration, Model | Function)
    }


def keys_of_last_success(nodes: Iterable[Node], past: Past) -> Mapping[NodeId, SqlKey]:
    """Under what the SQL is kept with which each model and function among `nodes` succeeded last, where that is another than now."""
    keys: dict[NodeId, SqlKey] = {}
    for node in nodes:
        stored = past.nodes.get(node.id)
        text = stored.last_success_fingerprint if stored is not None else None
        before = Fingerprint.parse(text) if text is not None else None
        if before is None or before.code == node.fingerprint.code:
            continue
        if isinstance(node.declaration, Model | Function):
            keys[node.id] = (node.id, before.code)
    return keys
