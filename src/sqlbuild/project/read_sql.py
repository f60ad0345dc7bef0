"""One `models/**/*.sql` file becomes a `Model`."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from sqlbuild.domain.hooks import HookPhase, ModelHook
from sqlbuild.domain.nodes import Materialization, Model
from sqlbuild.domain.pattern import pattern
from sqlbuild.errors import Problem
from sqlbuild.project.field_reader import FieldReader
from sqlbuild.project.header_grammar import parse_header
from sqlbuild.project.incremental_fields import incremental_of, warn_of_no_effect
from sqlbuild.project.known_keys import ALL_MODEL_KEYS
from sqlbuild.project.model_fields import ModelFields, merge_layers, read_model_fields
from sqlbuild.project.read_hooks import HookWords, read_hooks
from sqlbuild.project.sql_references import Query, Visible, is_code, read_query
from sqlbuild.project.sql_text import start_of_text
from sqlbuild.project.text_file import TextFile

_HEADER = pattern(r"MODEL\s*+(?=\()", re.IGNORECASE)
_ANY_KEY = "|".join(sorted(ALL_MODEL_KEYS))
_MISPLACED_HEADER = pattern(rf"^[ \t]*(MODEL\s*\(\s*(?:\)\s*;|(?:{_ANY_KEY})[\s(\[\"'](?!\s*[,)])))", re.MULTILINE)


def read_model(
    file: TextFile,
    defaults: ModelFields,
    problems: list[Problem],
    macros: Visible | None = None,
    words: HookWords | None = None,
) -> Model:
    """The model of `file`, named like the file; `defaults` are the fields its header does not need to repeat.

    It is returned whatever is wrong with it, so that references to it can be resolved.
    """
    begin = start_of_text(file.text)
    header = _HEADER.match(file.text, begin)
    reader: FieldReader | None = None
    fields: ModelFields = {}
    query = Query(sql="", start=begin)
    hooks: dict[str, tuple[ModelHook, ...]] = {}
    if header is None:
        query = _read_query(file, begin, begin, problems, macros)
    else:
        parsed = parse_header(file, header.end(), problems)
        reader = FieldReader(parsed.entries, "", problems)
        fields = read_model_fields(reader)
        hooks = _read_hooks(file, reader, merge_layers(defaults, fields), words, macros)
        if parsed.end is not None:
            query = _read_query(file, parsed.end, None, problems, macros)
    line, column = file.line_and_column(query.start)
    merged = merge_layers(defaults, fields, {"sql_analysis": False} if query.unreadable else {})
    grows = merged.pop("incremental", {})
    is_incremental = merged.get("materialized") is Materialization.INCREMENTAL
    if reader is not None and not is_incremental:
        warn_of_no_effect(reader)
    return Model(
        name=PurePosixPath(file.path).stem,
        place=file.place(begin),
        sql=query.sql,
        sql_line=line,
        sql_column=column,
        references=query.references,
        passed=query.passed,
        expansions=query.expansions,
        pre_hooks=hooks.get(HookPhase.PRE, ()),
        post_hooks=hooks.get(HookPhase.POST, ()),
        cursor_calls=query.cursor_calls,
        incremental=incremental_of(grows) if is_incremental else None,
        **merged,
    )


def _read_hooks(
    file: TextFile, reader: FieldReader, fields: ModelFields, words: HookWords | None, macros: Visible | None
) -> dict[str, tuple[ModelHook, ...]]:
    if words is None or macros is None or not any(phase in reader.entries for phase in HookPhase):
        return {}
    name = PurePosixPath(file.path).stem
    return {phase.value: read_hooks(reader, phase, name, fields, words, macros) for phase in HookPhase}


def _read_query(
    file: TextFile, start: int, text_before: int | None, problems: list[Problem], macros: Visible | None
) -> Query:
    """The query from `start` on; `text_before` is where the file's text begins if no header stood there."""
    found: list[Problem] = []
    query = read_query(file, start, found, macros)
    header = _MISPLACED_HEADER.search(file.text, start) if file.text.find("MODEL", start) >= 0 else None
    if header is None or not is_code(file.text, start, header.start(1)):
        problems += found
    elif text_before is None:
        problems.append(
            file.problem(
                "STATEMENTS", "a second MODEL header begins here", "write one model in a file", header.start(1)
            )
        )
    else:
        problems.append(
            file.problem(
                "HEADER_PLACE", "text stands before the MODEL header", "begin the file with MODEL (", text_before
            )
        )
    return query
