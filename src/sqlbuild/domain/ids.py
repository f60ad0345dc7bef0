"""Names of nodes and relations."""

from __future__ import annotations

import enum
import re
from typing import NewType

from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.record import record

NodeId = NewType("NodeId", str)
"""`kind:name`, for example `asset:orders_export`."""


class NodeKind(enum.StrEnum):
    SOURCE = "source"
    SEED = "seed"
    MODEL = "model"
    FUNCTION = "function"
    TASK = "task"
    ASSET = "asset"
    LOADER = "loader"
    CHECK = "check"
    TEST = "test"
    AUDIT = "audit"


PYTHON_KINDS = frozenset({NodeKind.TASK, NodeKind.ASSET, NodeKind.LOADER, NodeKind.CHECK})


def node_id(kind: NodeKind | str, name: str) -> NodeId:
    return NodeId(f"{kind}:{name}")


# Asked several times for every edge: to ask the enum costs four times as much.
_KINDS = {kind.value: kind for kind in NodeKind}


def kind_of(node: NodeId) -> NodeKind:
    return _KINDS[node.partition(":")[0]]


def name_of(node: NodeId) -> str:
    return node.partition(":")[2]


@record(frozen=True, slots=True)
class Relation:
    """A table or view: database (empty: the connection's own), schema and name, all unquoted."""

    database: str
    schema: str
    name: str

    def __str__(self) -> str:
        return ".".join(part for part in (self.database, self.schema, self.name) if part)


_PART = r'(?:[^".\s]+|"(?:[^"]|"")+")'
_RELATION = pattern(rf"{_PART}(?:\.{_PART}){{0,2}}")


def parse_relation(text: str) -> Relation | None:
    """`table`, `schema.table` or `database.schema.table`, parts quoted if need be; None for anything else."""
    if not _RELATION.fullmatch(text):
        return None
    parts = [part[1:-1].replace('""', '"') if part.startswith('"') else part for part in re.findall(_PART, text)]
    return Relation(*[""] * (3 - len(parts)), *parts)


@record(frozen=True, slots=True)
class Place:
    """Where something is declared: path relative to the project root, line and column from 1."""

    path: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
