"""Where in the project's files the analysis of a query has found something."""

from __future__ import annotations

import dataclasses

from sqlbuild.domain.ids import Place
from sqlbuild.domain.nodes import Function, Model
from sqlbuild.domain.project import Project
from sqlbuild.domain.source_map import written_in_line
from sqlbuild.errors import Problem
from sqlbuild.sql.query_analysis import Finding


def wrong_lines(project: Project) -> dict[str, list[int | None]]:
    """Path -> lines of the errors found while reading it."""
    lines: dict[str, list[int | None]] = {}
    for problem in project.problems:
        if problem.severity == "error":
            lines.setdefault(problem.path, []).append(problem.line)
    return lines


def place_of_sql(model: Model | Function) -> Place:
    return Place(model.place.path, model.sql_line, model.sql_column)


def _at(place: Place, line: int | None, column: int | None) -> Place:
    """A place in text that begins at `place`."""
    if line is None or place.line is None:
        return place
    if column is not None and line == 1:
        column += (place.column or 1) - 1
    return Place(place.path, place.line + line - 1, column)


def problem_in_sql(finding: Finding, model: Model | Function) -> Problem:
    """In SQL that a macro gave, at the place of its call."""
    begin = place_of_sql(model)
    if not model.expansions or finding.line is None:
        return problem_at(finding, model.name, begin)
    written = written_in_line(model.sql, begin, model.expansions, finding.line, finding.column)
    if written.expansion is not None:
        finding = dataclasses.replace(finding, message=f"{finding.message}, in {written.expansion.told()}")
    return problem_at(dataclasses.replace(finding, line=None), model.name, written.place)


def problem_at(finding: Finding, name: str, place: Place) -> Problem:
    there = _at(place, finding.line, finding.column)
    return Problem(
        code=finding.code,
        message=f"{name}: {finding.message}",
        help=finding.help,
        path=there.path,
        line=there.line,
        column=there.column,
    )
