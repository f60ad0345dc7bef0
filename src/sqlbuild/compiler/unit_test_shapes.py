"""Which columns the mocks and models of a unit test have, as far as that is known without running it."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable

from sqlbuild.compiler.function_columns import described_function
from sqlbuild.compiler.unit_test_columns import (
    KnownColumns,
    analyse_sql,
    analyse_text,
    columns_to_complete,
    query_input,
    renamed,
)
from sqlbuild.compiler.unit_test_ctes import CtesOfTest, mocked_by, place_of_sql
from sqlbuild.compiler.unit_test_statements import StatementsOfTest
from sqlbuild.compiler.unit_test_surroundings import ProblemsOfTest, Surroundings, folded
from sqlbuild.compiler.unit_test_text import SqlText
from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import Place
from sqlbuild.domain.source_map import written_in_line
from sqlbuild.domain.unit_tests import PlacedSql, UnitTest, UnitTestCte
from sqlbuild.refs import Reference
from sqlbuild.sql.query_analysis import Finding, InputReference, QueryInput

_NOT_UNDERSTOOD = "if the warehouse accepts it as it is, write `sql_analysis false` in the header of the test"


class ShapesOfTest:
    """Of one test. `completed` has the columns that a mock does not give and that are NULL in it, `outputs` the columns of
    the models that the test runs."""

    def __init__(
        self,
        around: Surroundings,
        test: UnitTest,
        ctes: CtesOfTest,
        statements: StatementsOfTest,
        problems: ProblemsOfTest,
    ) -> None:
        self._around = around
        self._ctes = ctes
        self._statements = statements
        self._problems = problems
        self._is_analysed = test.sql_analysis
        self._place = test.place
        self._given: dict[str, KnownColumns | None] = {}
        self.completed: dict[str, tuple[Column, ...]] = {}
        self.outputs: dict[Reference, KnownColumns | None] = {}

    def find_columns(self, mocks: Iterable[str], models: Iterable[Reference]) -> None:
        """Of every mock and model, as far as they are known; what is surely wrong with them is a problem."""
        for name in mocks:
            self._find_columns_of_mock(name)
        if self._problems.found or not self._is_analysed:
            return
        for reference in models:
            self._find_columns_of_model(reference)

    def _find_columns_of_mock(self, name: str) -> None:
        cte = self._ctes.mocks[name]
        reference = mocked_by(cte)
        assert reference is not None
        declared = self._around.declared(reference)
        if cte.is_empty:
            self._find_columns_of_empty(name, reference, declared)
            return
        self._given[name] = None
        self.completed[name] = ()
        if not self._is_analysed:
            return
        given = renamed(self.analysed(name), cte.columns)
        if given is None:
            return
        known = self._around.columns.get(self._around.ids[reference])
        if declared is not None:
            self.completed[name] = columns_to_complete(
                (column for column, _ in given), declared, fold=self._around.folds
            )
            if known is not None and known.complete:
                self._check_given(cte, reference, given, declared)
        self._given[name] = (*given, *((column.name, column.type) for column in self.completed[name]))

    def _find_columns_of_empty(self, name: str, reference: Reference, declared: tuple[Column, ...] | None) -> None:
        cte = self._ctes.mocks[name]
        untyped = [column.name for column in declared or () if not column.type]
        if not declared or untyped:
            what = f"the types of {', '.join(untyped[:5])}" if untyped else "the columns"
            help = "declare them, or write SELECT CAST(NULL AS INTEGER) AS id, ... WHERE FALSE"
            self._problems.add_problem("MOCK_COLUMNS", f"{what} of {reference.name} are not known", help, cte.place)
            return
        self.completed[name] = declared
        self._given[name] = tuple((column.name, column.type) for column in declared)

    def _check_given(
        self, cte: UnitTestCte, reference: Reference, given: KnownColumns, declared: tuple[Column, ...]
    ) -> None:
        names = {self._around.key(column.name): column.name for column in declared}
        for name, _ in given:
            if self._around.key(name) not in names:
                near = difflib.get_close_matches(name, list(names.values()), n=1, cutoff=0.6)
                help = f'did you mean "{near[0]}"?' if near else f"it has {', '.join(list(names.values())[:8])}"
                message = f"{cte.name} gives the column {name}, which {reference.name} does not have"
                self._problems.add_problem("MOCK_COLUMNS", message, help, cte.place)

    def analysed(self, name: str) -> KnownColumns | None:
        """The columns that the query of a CTE gives; findings in it are problems."""
        text = SqlText()
        self._statements.add_query(text, name)
        inputs: dict[Hashable, QueryInput] = {
            **{self._statements.reference_of(mock): self._input_of_mock(mock) for mock in self._given},
            **{model: self._input_of_model(model) for model in self.outputs},
        }
        analysed = analyse_text(text, self._with_unknown(inputs, name), self._around.analysis)
        for finding in analysed.findings:
            self._add_finding(finding, text.placed(), self._ctes.by_name[name])
        return analysed.columns

    def _with_unknown(self, inputs: dict[Hashable, QueryInput], name: str) -> dict[Hashable, QueryInput]:
        closure = self._ctes.closure(name)
        keys = [
            *(folded(found.reference) for found in closure.references),
            *(self._statements.reference_of(mock) for mock in closure.mocks),
        ]
        return {key: inputs[key] if key in inputs else self._input_of_other(key) for key in keys}

    def _input_of_other(self, reference: Reference) -> QueryInput:
        if reference.kind == "function":
            return described_function(self._around.function(reference), self._around.dialect)
        return QueryInput(label=reference.name, alias=self._around.alias(reference))

    def _add_finding(self, finding: Finding, placed: PlacedSql, cte: UnitTestCte) -> None:
        place = placed.place(finding.line, finding.column) if finding.line is not None else None
        help = finding.help if finding.certain else f"{finding.help}; {_NOT_UNDERSTOOD}"
        self._problems.add_problem(finding.code, finding.message, help, place or place_of_sql(cte))

    def _input_of_mock(self, mock: str) -> QueryInput:
        cte, reference = self._ctes.mocks[mock], self._statements.reference_of(mock)
        return query_input(f"the mock {cte.name}", self._around.alias(reference), self._given.get(mock))

    def _input_of_model(self, reference: Reference) -> QueryInput:
        if reference.kind == "function":
            return self._input_of_other(reference)
        return query_input(reference.name, self._around.alias(reference), self.outputs.get(reference))

    def _find_columns_of_model(self, reference: Reference) -> None:
        """Whether a model finds in the mocks what it reads."""
        model = self._statements.model(reference)
        known = self._around.columns.get(self._around.ids[reference])
        self.outputs[reference] = None
        if not model.sql_analysis or known is None or model.place.path in self._around.broken:
            return
        inputs: list[QueryInput] = []
        references: list[InputReference] = []
        for found in model.references:
            upstream = folded(found.reference)
            mock = self._ctes.mock_of.get(upstream)
            one = self._input_of_mock(mock) if mock is not None else self._input_of_model(upstream)
            if one not in inputs:
                inputs.append(one)
            references.append(InputReference(found.start, found.end, inputs.index(one)))
        analysed = analyse_sql(model.sql, references, inputs, self._around.analysis)
        for finding in analysed.findings if known.complete else ():
            if finding.code == "UNKNOWN_COLUMN" and finding.certain:
                written = written_in_line(
                    model.sql, Place(model.place.path, model.sql_line), model.expansions, finding.line or 1
                )
                there = f"{model.place.path}:{written.place.line}"
                message = f"{model.name} ({there}) cannot be computed from the mocks: {finding.message}"
                self._problems.add_problem("MOCK_COLUMNS", message, "give the mock this column", self._place)
        self.outputs[reference] = analysed.columns

    def check_expected(self, cte: UnitTestCte, listed: KnownColumns | None, outputs: KnownColumns | None) -> None:
        if listed is None or outputs is None:
            return
        names = {self._around.key(name): name for name, _ in outputs}
        for name, _ in listed:
            if self._around.key(name) not in names:
                near = difflib.get_close_matches(name, list(names.values()), n=1, cutoff=0.6)
                help = f'did you mean "{near[0]}"?' if near else f"it gives {', '.join(list(names.values())[:8])}"
                message = f"{cte.name} lists the column {name}, which {cte.subject} does not give"
                self._problems.add_problem("UNKNOWN_COLUMN", message, help, cte.place)
