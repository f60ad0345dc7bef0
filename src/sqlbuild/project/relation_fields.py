"""The header keys `indexes` and `grants`: what a model's relation has besides its rows."""

from __future__ import annotations

from sqlbuild.domain.ids import Place
from sqlbuild.domain.relation_options import PRIVILEGES, Index
from sqlbuild.project.field_reader import FieldReader, nearest
from sqlbuild.project.known_keys import INDEX_KEYS
from sqlbuild.project.located import Located, describe
from sqlbuild.sql.index_keys import is_one_expression, name_of_key

_EXAMPLE = "write for example indexes [(columns [order_id], unique true), (columns [created_at desc])]"
_EXAMPLE_OF_GRANTS = "write for example grants (select [reporting, analyst])"


def read_indexes(reader: FieldReader) -> tuple[Index, ...] | None:
    entry = reader.entries.get("indexes")
    if entry is None or entry.value is None:
        return None
    if not isinstance(entry.value, tuple):
        reader.refuse(
            "indexes",
            f"`{reader.name_of('indexes')}` must be a list, not {describe(entry.value)}",
            _EXAMPLE,
            code="WRONG_TYPE",
        )
        return None
    found: list[Index] = []
    for number, item in enumerate(entry.value, 1):
        path = f"{reader.name_of('indexes')}[{number}]"
        if isinstance(item.value, dict):
            index = _index(FieldReader(item, path, reader.problems), item)
            found += [index] if index is not None else []
        else:
            reader.problems.append(
                item.problem("WRONG_TYPE", f"`{path}` must be a table, not {describe(item.value)}", _EXAMPLE)
            )
    return tuple(found)


def read_grants(reader: FieldReader) -> dict[str, tuple[str, ...]] | None:
    table = reader.table("grants")
    if table is None:
        return None
    grants: dict[str, tuple[str, ...]] = {}
    for key, entry in table.entries.items():
        privilege = key.lower()
        if privilege not in PRIVILEGES:
            table.refuse(
                key,
                f"`{table.name_of(key)}`: {key} cannot be granted on a table or view",
                nearest(privilege, PRIVILEGES),
                at_key=True,
            )
        elif privilege in grants:
            table.refuse(
                key, f"`{table.name_of(key)}` stands twice", "keep one of the two", code="DUPLICATE_KEY", at_key=True
            )
        elif entry.value is None:
            table.refuse(key, f"`{table.name_of(key)}` names no role", _EXAMPLE_OF_GRANTS, code="WRONG_TYPE")
        elif (roles := table.texts(key)) is not None:
            grants[privilege] = roles
    return grants


def _index(reader: FieldReader, item: Located) -> Index | None:
    reader.refuse_unknown(INDEX_KEYS)
    reader.require("columns", "write columns [a, b]: what the index is made of")
    columns, include = reader.texts("columns"), reader.texts("include")
    where, using = reader.text("where"), reader.text("using")
    if columns == ():
        reader.refuse("columns", f"`{reader.name_of('columns')}` is empty", "name at least one column")
    for key, texts in (("columns", columns), ("include", include), ("where", (where,))):
        for text in texts or ():
            if text is not None:
                _check_expression(reader, key, text)
    for text in include or ():
        if is_one_expression(text) and name_of_key(text) is None:
            reader.refuse("include", f"`{reader.name_of('include')}`: {text} is not a column", "name columns only")
    if using is not None and not using.isidentifier():
        reader.refuse(
            "using", f"`{reader.name_of('using')}`: {using} is not a method", "write for example using brin, or gin"
        )
    if not columns:
        return None
    line, column = item.file.line_and_column(item.offset) if item.offset is not None else (None, None)
    return Index(
        columns=columns,
        name=reader.text("name"),
        unique=reader.boolean("unique") or False,
        where=where,
        using=using.lower() if using is not None else None,
        include=include or (),
        place=Place(item.file.path, line, column),
    )


def _check_expression(reader: FieldReader, key: str, text: str) -> None:
    if text.startswith("'") and text.endswith("'"):
        message = f"`{reader.name_of(key)}`: {text} is a text, not a column"
        reader.refuse(key, message, "write it without quotes, as in CREATE INDEX")
    elif not is_one_expression(text):
        message = f"`{reader.name_of(key)}`: {text!r} is not one expression"
        reader.refuse(key, message, "balance the brackets and quotes, and leave out semicolons and comments")
