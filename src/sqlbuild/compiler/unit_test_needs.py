"""What a unit test runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from sqlbuild.compiler.cached_analysis import CachedAnalysis
from sqlbuild.domain.nodes import Model
from sqlbuild.domain.record import record
from sqlbuild.domain.unit_tests import FunctionCopy, UnitTestCte, Verification
from sqlbuild.refs import Reference


@record(slots=True, kw_only=True)
class Needs:
    """What a verification runs: models, upstreams first, each with the path to it; and mocks, by the names of their CTEs."""

    models: dict[Reference, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    mocks: set[str] = dataclasses.field(default_factory=set)
    functions: dict[Reference, None] = dataclasses.field(default_factory=dict)
    """Those that others call first."""
    inside: set[str] = dataclasses.field(default_factory=set)
    """Mocks of what functions read."""

    def add(self, other: Needs) -> None:
        self.models.update(other.models)
        self.mocks |= other.mocks
        self.functions.update(other.functions)
        self.inside |= other.inside


def called_by(sql: UnitTestCte | Model, kind: str) -> dict[str, None]:
    """Names of the macros or functions that SQL calls."""
    if kind == "macro":
        return dict.fromkeys(each.macro for each in sql.expansions)
    return dict.fromkeys(each.reference.name for each in sql.references if each.call)


def digest_of_test(
    verifications: Iterable[Verification], functions: Iterable[FunctionCopy], analysis: CachedAnalysis
) -> str:
    texts = [f"{each.name} {each.compares} {each.ctes.text}" for each in verifications]
    return analysis.canonical_digest("\n".join((*texts, *(f"{each.types} {each.sql}" for each in functions))))
