"""What `on_schema_change` makes of a delta whose columns are not those of the table; the same on every warehouse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.incremental import OnSchemaChange
from sqlbuild.domain.record import record
from sqlbuild.errors import WarehouseError


class HeldColumn(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def type(self) -> str: ...


@record(frozen=True, slots=True, kw_only=True)
class SchemaChanges:
    """Keys are lower-cased names of columns. Of `added` and `retyped` the delta says how they become."""

    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    """Those that the delta's rows go into."""
    notes: tuple[str, ...] = ()

    @property
    def alters(self) -> bool:
        return bool(self.added or self.dropped or self.retyped)


def schema_changes(
    relation: Relation,
    policy: OnSchemaChange,
    delta: Mapping[str, HeldColumn],
    table: Mapping[str, HeldColumn],
) -> SchemaChanges:
    """What has to be changed of the table before the delta's rows come. Raises WarehouseError where that is refused."""
    new = tuple(key for key in delta if key not in table)
    gone = tuple(key for key in table if key not in delta)
    other_types = tuple(key for key in delta if key in table and delta[key].type != table[key].type)
    match policy:
        case OnSchemaChange.FAIL:
            if new or gone or other_types:
                raise WarehouseError(
                    f"the columns of the query are not those of {relation}: "
                    + "; ".join(_described(delta, table, new, gone, other_types)),
                    help="set `on_schema_change`, or build the table again with --full-refresh",
                )
            return SchemaChanges(filled=tuple(delta))
        case OnSchemaChange.IGNORE:
            described = _described(delta, table, new, gone, other_types)
            note = (f"on_schema_change ignore: {'; '.join(described)}",) if new or gone else ()
            return SchemaChanges(filled=tuple(key for key in delta if key in table), notes=note)
        case OnSchemaChange.APPEND_NEW_COLUMNS:
            notes = (
                (f"{_names(table, gone)} of {relation} is not in the query any more: NULL in new rows",) if gone else ()
            )
            return SchemaChanges(added=new, filled=tuple(delta), notes=notes)
        case OnSchemaChange.SYNC_ALL_COLUMNS:
            return SchemaChanges(added=new, dropped=gone, retyped=other_types, filled=tuple(delta))


def _described(
    delta: Mapping[str, HeldColumn],
    table: Mapping[str, HeldColumn],
    new: tuple[str, ...],
    gone: tuple[str, ...],
    other_types: tuple[str, ...],
) -> list[str]:
    texts = [f"{_names(delta, new)} is new"] if new else []
    texts += [f"{_names(table, gone)} is gone"] if gone else []
    texts += [f"{delta[key].name} is {delta[key].type}, not {table[key].type}" for key in other_types]
    return texts


def _names(columns: Mapping[str, HeldColumn], keys: tuple[str, ...]) -> str:
    return ", ".join(columns[key].name for key in keys)
