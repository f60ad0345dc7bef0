"""What `@loader` takes beside what every decorator takes: types for checkers, readers for run time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from sqlbuild.authoring.findings import Finding, Findings
from sqlbuild.authoring.options import ColumnOptions, FunctionOptions
from sqlbuild.authoring.read_options import Reader, read_columns, shown
from sqlbuild.domain.ids import parse_relation
from sqlbuild.domain.nodes import WriteStrategy

CONTRACTS = ("enforced", "none")


class LoaderOptions(FunctionOptions, total=False):
    """Parameters of `@loader`; what the managed source's YAML says of the same wins."""

    write_strategy: Literal["table", "append", "delete_insert", "merge"] | WriteStrategy | None
    cursor_column: str | None
    unique_key: str | list[str] | tuple[str, ...] | None
    destination: str | None
    """`table`, `schema.table` or `database.schema.table`."""
    contract: Literal["enforced", "none"] | None
    columns: Sequence[ColumnOptions] | None


def read_write_strategy(value: object, findings: Findings) -> WriteStrategy | None:
    if isinstance(value, str) and value in tuple(WriteStrategy):
        return WriteStrategy(value)
    findings.append(Finding(f"write_strategy: unknown value {shown(value)}", f"give one of {', '.join(WriteStrategy)}"))
    return None


def read_cursor_column(value: object, findings: Findings) -> str | None:
    if isinstance(value, str) and value:
        return value
    findings.append(
        Finding(f"cursor_column: must be the name of a column, not {shown(value)}", 'for example "updated_at"')
    )
    return None


def read_unique_key(value: object, findings: Findings) -> tuple[str, ...] | None:
    names = (value,) if isinstance(value, str) else value
    if isinstance(names, list | tuple) and names and all(isinstance(name, str) and name for name in names):
        return tuple(dict.fromkeys(names))
    message = f"unique_key: must be the name of a column or a list of them, not {shown(value)}"
    findings.append(Finding(message, 'for example "order_id"'))
    return None


def read_destination(value: object, findings: Findings) -> str | None:
    if isinstance(value, str) and parse_relation(value) is not None:
        return value
    findings.append(
        Finding(f"destination: must be the name of a table, not {shown(value)}", 'for example "staging.orders"')
    )
    return None


def read_contract(value: object, findings: Findings) -> str | None:
    if isinstance(value, str) and value in CONTRACTS:
        return value
    findings.append(Finding(f"contract: unknown value {shown(value)}", 'give "enforced" or "none" (the default)'))
    return None


LOADER_READERS: Mapping[str, Reader] = {
    "write_strategy": read_write_strategy,
    "cursor_column": read_cursor_column,
    "unique_key": read_unique_key,
    "destination": read_destination,
    "contract": read_contract,
    "columns": read_columns,
}
