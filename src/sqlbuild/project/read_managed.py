"""What the YAML of a managed source says of its loading; `@loader` takes the same."""

from __future__ import annotations

from sqlbuild.domain.ids import Relation, parse_relation
from sqlbuild.domain.nodes import LoadSettings, WriteStrategy
from sqlbuild.project.field_reader import FieldReader

CONTRACTS = ("enforced", "none")


def read_load_settings(reader: FieldReader) -> LoadSettings | None:
    """None for a source that is not managed."""
    if not reader.boolean("managed"):
        return None
    if "expression" in reader.entries:
        reader.refuse(
            "expression",
            f"`{reader.name_of('expression')}`: a loader cannot fill an expression",
            "remove it, or `managed: true`",
            at_key=True,
        )
    strategy = reader.choice("write_strategy", tuple(WriteStrategy))
    return LoadSettings(
        write_strategy=None if strategy is None else WriteStrategy(strategy),
        cursor_column=reader.text("cursor_column"),
        unique_key=reader.texts("unique_key") or (),
        contract=reader.choice("contract", CONTRACTS),
        batch_rows=reader.whole_number("load_batch_size", minimum=1),
    )


def read_destination(reader: FieldReader) -> Relation | None:
    """`destination` of a managed source: `table`, `schema` and `database` in one."""
    written = reader.text("destination")
    if written is None:
        return None
    name = f"`{reader.name_of('destination')}`"
    if also := [key for key in ("table", "schema", "database") if key in reader.entries]:
        reader.refuse("destination", f"{name} stands beside `{also[0]}`", "keep one of the two", at_key=True)
    relation = parse_relation(written)
    if relation is None:
        reader.refuse("destination", f"{name}: {written!r} is not the name of a table", 'for example "staging.orders"')
    return relation
