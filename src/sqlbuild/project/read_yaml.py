"""`sources/**/*.yml` files become `Source` records."""

from __future__ import annotations

from sqlbuild.domain.columns import Column
from sqlbuild.domain.nodes import LoadSettings, Source
from sqlbuild.errors import Problem
from sqlbuild.project.field_reader import FieldReader
from sqlbuild.project.known_keys import IGNORED_SOURCE_KEYS, LOADING_KEYS, SOURCE_KEYS
from sqlbuild.project.located import Located, describe
from sqlbuild.project.macros import Macros
from sqlbuild.project.model_fields import fold_prose, read_column
from sqlbuild.project.read_audits import read_audits_of_columns
from sqlbuild.project.read_freshness import read_freshness
from sqlbuild.project.read_managed import CONTRACTS, read_destination, read_load_settings
from sqlbuild.project.sql_references import Visible, read_query
from sqlbuild.project.text_file import TextFile


def read_sources(file: TextFile, problems: list[Problem], macros: Macros | None = None) -> tuple[Source, ...]:
    """The sources of one file. Whatever is wrong with an entry, it is returned if it has a name.

    Expressions call the `macros` that their file sees.
    """
    # Here and not above, as in `read_seeds`: a project without YAML does not load what reads it, 20 ms.
    from sqlbuild.project.strict_yaml import read_yaml

    document = read_yaml(file, problems)
    if document is None:
        return ()
    if not isinstance(document.value, dict):
        problems.append(
            document.problem(
                "WRONG_TYPE",
                f"a sources file must be a table with the key `sources`, not {describe(document.value)}",
                "begin the file with `sources:`",
            )
        )
        return ()
    reader = FieldReader(document, "", problems)
    reader.refuse_unknown(
        {"sources"}, {"dlt_sources": "write a @loader that calls dlt, and a source with `managed: true`"}
    )
    entry = reader.entries.get("sources")
    if entry is None or entry.value is None:
        return ()
    if not isinstance(entry.value, tuple):
        reader.refuse(
            "sources",
            f"`sources` must be a list, not {describe(entry.value)}",
            "write each source as `- name: ...`",
            code="WRONG_TYPE",
        )
        return ()
    seen = None if macros is None else Visible(macros, (file.path,))
    sources = (_source(item, f"sources[{index}]", problems, seen) for index, item in enumerate(entry.value))
    return tuple(source for source in sources if source is not None)


def _source(item: Located, path: str, problems: list[Problem], macros: Visible | None) -> Source | None:
    if not isinstance(item.value, dict):
        problems.append(
            item.problem(
                "WRONG_TYPE",
                f"`{path}` must be a table, not {describe(item.value)}",
                "write `- name: ...`, and its keys",
            )
        )
        return None
    reader = FieldReader(item, path, problems)
    load = read_load_settings(reader)
    known = SOURCE_KEYS | {"audits", "ingestr"} | (LOADING_KEYS if load is not None else frozenset())
    reader.refuse_unknown(known, IGNORED_SOURCE_KEYS)
    if "ingestr" in reader.entries:
        reader.refuse(
            "ingestr",
            f"`{reader.name_of('ingestr')}` is not supported",
            "write a @loader that loads the table, with `managed: true` here, and remove the key",
            code="UNSUPPORTED",
            at_key=True,
        )
    columns = read_columns(reader)
    reader.require("name", 'write `- name: ...`; it is what __source("...") refers to')
    name = reader.text("name")
    table, expression = reader.text("table"), reader.text("expression")
    if table is not None and expression is not None:
        reader.refuse("expression", f"`{path}` has both `table` and `expression`", "keep one of the two", at_key=True)
    if name is None:
        return None
    sql, line = _expression(reader, expression if load is None else None, macros)
    destination = read_destination(reader) if load is not None else None
    return Source(
        name=name,
        place=item.file.place(item.offset),
        description=fold_prose(reader.text("description", empty=True)) or "",
        database=destination.database or None if destination is not None else reader.text("database"),
        schema=destination.schema or None if destination is not None else reader.text("schema"),
        table=destination.name if destination is not None else _table(name, table, sql, load),
        expression=sql,
        expression_line=line,
        columns=columns,
        tags=reader.texts("tags") or (),
        group=reader.text("group"),
        meta=reader.json_table("meta") or {},
        load=load,
        audits=read_audits_of_columns(reader),
        freshness=read_freshness(reader, columns),
        type_enforcement=reader.boolean("type_enforcement") is not False,
        has_other_columns=load is None and reader.choice("contract", CONTRACTS) == "none",
    )


def _table(name: str, table: str | None, expression: str | None, load: LoadSettings | None) -> str | None:
    """Not said of a managed source, it may be said by its loader."""
    return table if table is not None or expression is not None or load is not None else name


def read_columns(reader: FieldReader) -> tuple[Column, ...]:
    """The declared columns of an entry; their audits are read by `read_audits_of_columns`."""
    columns: dict[str, Column] = {}
    entry = reader.entries.get("columns")
    items = () if entry is None or entry.value is None else entry.value
    if not isinstance(items, tuple):
        reader.refuse(
            "columns",
            f"`{reader.name_of('columns')}` must be a list, not {describe(items)}",
            "write each column as `- name: ...`",
            code="WRONG_TYPE",
        )
        items = ()
    for index, item in enumerate(items):
        keys = FieldReader(item, f"{reader.name_of('columns')}[{index}]", reader.problems)
        if not isinstance(item.value, dict):
            reader.problems.append(
                item.problem(
                    "WRONG_TYPE", f"`{keys.path}` must be a table, not {describe(item.value)}", "write `- name: ...`"
                )
            )
            continue
        keys.require("name", "write `- name: ...`")
        name = keys.text("name") or ""
        if name and name.lower() in columns:
            keys.refuse(
                "name", f"column `{name}` is declared twice", "case does not matter; keep one", code="DUPLICATE_KEY"
            )
        columns[name.lower()] = read_column(keys, name, ignored={"name": "", "audits": ""})
    return tuple(column for column in columns.values() if column.name)


def _expression(reader: FieldReader, expression: str | None, macros: Visible | None) -> tuple[str | None, int]:
    """The SQL of an expression source and the line it starts on."""
    if expression is None:
        return None, 1
    entry = reader.entries["expression"]
    start = entry.offset or 0
    line, _ = entry.file.line_and_column(start)
    if entry.file.text[start : start + 1] in ("|", ">"):
        line += 1
    found: list[Problem] = []
    query = read_query(TextFile(entry.file.path, expression), 0, found, macros)
    for problem in found:
        reader.refuse(
            "expression", f"`{reader.name_of('expression')}`: {problem.message}", problem.help, code=problem.code
        )
    shown_references = [query.sql[each.start : each.end] for each in query.references]
    for shown in shown_references or [f"the {each.reference.kind} {each.reference.name}" for each in query.passed]:
        reader.refuse(
            "expression",
            f"`{reader.name_of('expression')}` refers to {shown}",
            "write the SQL in a model; a source stands at the beginning and refers to nothing",
            code="REFERENCE",
        )
    return query.sql, line + expression[: query.start].count("\n")
