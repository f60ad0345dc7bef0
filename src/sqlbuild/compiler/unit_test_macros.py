"""Macros in unit tests: other text in the place of what they give in a model."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from sqlbuild.domain.nodes import Model
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.source_map import shifted
from sqlbuild.domain.sql_reference import SqlReference
from sqlbuild.domain.unit_tests import UnitTestCte

_ONE_TEXT = pattern(r"""SELECT\s+'((?:[^']|'')*)'(?:\s+(?:AS\s+)?(?:\w+|"[^"]*"))?\s*""", re.IGNORECASE)


def text_of_mock(cte: UnitTestCte) -> str | None:
    """What the mock of a macro gives: the one text that it selects; None for anything else."""
    found = _ONE_TEXT.fullmatch(cte.sql.strip())
    return None if found is None else found.group(1).replace("''", "'")


def with_macros(model: Model, texts: Mapping[str, str]) -> Model:
    """The model with these texts in the place of what the macros of these names, in lower case, have given."""
    mocked = [each for each in model.expansions if each.macro.lower() in texts]
    if not mocked:
        return model
    pieces: list[str] = []
    references: list[SqlReference] = []
    edits: list[tuple[int, int]] = []
    position = moved = 0
    for expansion in mocked:
        text = texts[expansion.macro.lower()]
        references += _between(model, position, expansion.start, moved)
        pieces += [model.sql[position : expansion.start], text]
        by = len(text) - (expansion.end - expansion.start)
        edits.append((expansion.start, by))
        moved += by
        position = expansion.end
    references += _between(model, position, len(model.sql), moved)
    return dataclasses.replace(
        model,
        sql="".join((*pieces, model.sql[position:])),
        references=tuple(references),
        expansions=shifted(model.expansions, edits),
    )


def _between(model: Model, start: int, end: int, moved: int) -> list[SqlReference]:
    return [
        dataclasses.replace(found, start=found.start + moved, end=found.end + moved)
        for found in model.references
        if start <= found.start < end
    ]
