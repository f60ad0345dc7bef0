"""Which of the inputs of an incremental model have a cursor, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import NodeId, node_id
from sqlbuild.domain.incremental import CursorInput, Grain, ReadInput
from sqlbuild.domain.nodes import Declaration, Model
from sqlbuild.refs import Reference
from sqlbuild.sql.rendering import Readable

_READ = ("model", "source", "seed")


def read_relations(model: Model) -> dict[Reference, None]:
    """What the query reads rows of, each once; functions that it calls are none of it."""
    return dict.fromkeys(each.reference for each in model.references if each.reference.kind in _READ)


def cursor_inputs(model: Model) -> dict[Reference, CursorInput]:
    """What `cursor_inputs` lists and the query reads; without that key the only thing that is read, if it is one."""
    grows = model.incremental
    if grows is None or grows.cursor is None:
        return {}
    references = list(read_relations(model))
    if grows.inputs is None:
        return (
            {references[0]: CursorInput(name=references[0].name, column=grows.cursor)} if len(references) == 1 else {}
        )
    by_name = {reference.name: reference for reference in references}
    return {by_name[each.name]: each for each in grows.inputs if each.name in by_name}


def read_inputs(
    model: Model,
    readables: Mapping[Reference, Readable],
    nodes: Mapping[NodeId, Declaration],
    columns_of: Callable[[NodeId], Sequence[Column]],
) -> dict[Reference, ReadInput]:
    """The same as they are read; what is not in `readables` is left out."""
    found: dict[Reference, ReadInput] = {}
    for reference, declared in cursor_inputs(model).items():
        if reference not in readables:
            continue
        node = node_id(reference.kind, reference.name)
        found[reference] = ReadInput(
            node=node,
            name=reference.name,
            column=_spelled(declared.column, columns_of(node)),
            sql=readables[reference].in_from_clause,
            filters=declared.filters,
            is_watermark=declared.is_watermark,
            grain=_grain(nodes.get(node), declared.column),
        )
    return found


def _spelled(name: str, columns: Sequence[Column]) -> str:
    """As the input itself spells it; what is not quoted in SQL may be written in any case."""
    names = [column.name for column in columns]
    if name in names:
        return name
    return next((known for known in names if known.lower() == name.lower()), name)


def _grain(declaration: Declaration | None, column: str) -> Grain | None:
    """Of a model whose own cursor the column is."""
    grows = declaration.incremental if isinstance(declaration, Model) else None
    if grows is None or grows.cursor is None or grows.cursor.lower() != column.lower():
        return None
    return grows.grain
