"""What all unit tests of a project share, and what is wrong with one of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import NoReturn, get_args

from sqlbuild.compiler.cached_analysis import CachedAnalysis
from sqlbuild.compiler.node_columns import NodeColumns
from sqlbuild.compiler.resolve_refs import Resolved
from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import NodeId, Place, kind_of, name_of
from sqlbuild.domain.nodes import Function, Model, Seed, Source
from sqlbuild.domain.project import Project
from sqlbuild.errors import Problem
from sqlbuild.interfaces.analysis_cache import AnalysisCache
from sqlbuild.refs import Reference, ReferenceKind

PREFIXES = {"model": "__ref__", "source": "__source__", "seed": "__seed__", "function": "__table_fn__"}
"""Kind of what is mocked -> how the names of its mocks begin."""


class Surroundings:
    """By `ids` references, with names in lower case, are nodes."""

    def __init__(
        self, project: Project, resolved: Resolved, columns: Mapping[NodeId, NodeColumns], cache: AnalysisCache
    ) -> None:
        self.dialect = project.settings.target.connection.adapter
        self.most_models = project.settings.run.unit_test_max_real_models
        self.nodes = resolved.nodes
        self.columns = columns
        self.analysis = CachedAnalysis(cache, self.dialect)
        self.ids = {Reference(kind, name.lower()): id for id in resolved.nodes for kind, name in _kind_and_name(id)}
        self.broken = {problem.path for problem in project.problems if problem.severity == "error"}
        self.folds = self.dialect == "duckdb"

    def key(self, name: str) -> str:
        return name.lower() if self.folds else name

    def alias(self, reference: Reference) -> str:
        """What qualifies the columns of a node if SQL that reads it gives no other name."""
        id = self.ids[reference]
        known = self.columns.get(id)
        return known.relation.name if known is not None and known.relation is not None else name_of(id)

    def function(self, reference: Reference) -> Function:
        function = self.nodes[self.ids[reference]]
        assert isinstance(function, Function)
        return function

    def declared(self, reference: Reference) -> tuple[Column, ...] | None:
        """All columns that are known of a node, `nullable` as it is declared: what its SQL proves binds no mock."""
        known = self.columns.get(self.ids[reference])
        if known is None or known.columns is None:
            return None
        declaration = self.nodes[self.ids[reference]]
        assert isinstance(declaration, Function | Model | Seed | Source)
        nullable = {self.key(column.name): column.nullable for column in declaration.columns}
        return tuple(dataclasses.replace(each, nullable=nullable.get(self.key(each.name))) for each in known.columns)


def _kind_and_name(id: NodeId) -> Iterable[tuple[ReferenceKind, str]]:
    for kind in get_args(ReferenceKind):
        if kind_of(id).value == kind:
            yield kind, name_of(id)


def folded(reference: Reference) -> Reference:
    """With its name in lower case."""
    return Reference(reference.kind, reference.name.lower())


class Refused(Exception):
    """What is wrong with a test is among its problems."""


class ProblemsOfTest:
    """Found in one block of a file; the messages begin with its name."""

    def __init__(self, block: str) -> None:
        self._block = block
        self.found: list[Problem] = []

    def add_problem(self, code: str, message: str, help: str, place: Place) -> None:
        self.found.append(
            Problem(
                code=code,
                message=f"{self._block}: {message}",
                help=help,
                path=place.path,
                line=place.line,
                column=place.column,
            )
        )

    def refuse(self, code: str, message: str, help: str, place: Place) -> NoReturn:
        """Raises Refused."""
        self.add_problem(code, message, help, place)
        raise Refused

    def stop_if_any(self) -> None:
        """Raises Refused."""
        if self.found:
            raise Refused
