"""Unit tests become SQL: what they verify, computed from their mocks by the real SQL of the models between."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Hashable, Iterable, Mapping
from typing import NoReturn, get_args

from sqlbuild.compiler.cached_analysis import CachedAnalysis
from sqlbuild.compiler.infer_columns import NodeColumns
from sqlbuild.compiler.model_query import model_query
from sqlbuild.compiler.resolve_refs import Resolved
from sqlbuild.compiler.unit_test_columns import (
    KnownColumns,
    analyse_sql,
    analyse_text,
    columns_to_complete,
    null_columns,
    query_input,
    renamed,
    with_typed_nulls,
)
from sqlbuild.compiler.unit_test_ctes import Closure, CtesOfTest, CycleOfCtes, mocked_by, place_of_sql
from sqlbuild.compiler.unit_test_macros import text_of_mock, with_macros
from sqlbuild.compiler.unit_test_text import Reading, SqlText
from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import NodeId, Place, kind_of, name_of
from sqlbuild.domain.nodes import Materialization, Model, UnitTest
from sqlbuild.domain.project import Project
from sqlbuild.domain.source_map import written_in_line
from sqlbuild.domain.unit_tests import (
    ACTUAL,
    EXPECTED,
    CteRole,
    PlacedSql,
    UnitTestCte,
    UnitTestMode,
    UnitTestPlan,
    Verification,
)
from sqlbuild.errors import Problem
from sqlbuild.interfaces.analysis_cache import AnalysisCache
from sqlbuild.refs import Reference, ReferenceKind
from sqlbuild.sql.analyse_query import canonical_digest
from sqlbuild.sql.query_analysis import Finding, InputReference, QueryInput
from sqlbuild.sql.rendering import Readable, in_brackets, quote_identifier, render_columns

_CALLS = {"model": "__ref", "source": "__source", "seed": "__seed"}
_PREFIXES = {"model": "__ref__", "source": "__source__", "seed": "__seed__"}
_LONGEST_NAME = 40
_NOT_UNDERSTOOD = "if the warehouse accepts it as it is, write `sql_analysis false` in the header of the test"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CompiledUnitTest:
    """`tests` are the models that it is about; `code` is a digest of all that it runs."""

    plan: UnitTestPlan
    tests: tuple[NodeId, ...]
    code: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CompiledUnitTests:
    tests: Mapping[NodeId, CompiledUnitTest]
    problems: tuple[Problem, ...] = ()


def compile_unit_tests(
    project: Project, resolved: Resolved, columns: Mapping[NodeId, NodeColumns], cache: AnalysisCache
) -> CompiledUnitTests:
    """All tests of a project whose other nodes have their `columns`. Of a project with cycles there must be none."""
    tests = {node: declared for node, declared in resolved.nodes.items() if isinstance(declared, UnitTest)}
    if not tests:
        return CompiledUnitTests(tests={})
    surroundings = _Surroundings(project, resolved, columns, cache)
    compiled: dict[NodeId, CompiledUnitTest] = {}
    problems: dict[Problem, None] = {}
    for node, test in tests.items():
        compiling = _Compiling(surroundings, test)
        try:
            compiled[node] = compiling.compiled()
        except _Refused:
            pass
        problems.update(dict.fromkeys(compiling.problems))
    return CompiledUnitTests(tests=compiled, problems=tuple(problems))


class _Refused(Exception):
    """What is wrong with a test is among its problems."""


class _Surroundings:
    """What all tests of a project share."""

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


def _kind_and_name(id: NodeId) -> Iterable[tuple[ReferenceKind, str]]:
    for kind in get_args(ReferenceKind):
        if kind_of(id).value == kind:
            yield kind, name_of(id)


@dataclasses.dataclass(slots=True, kw_only=True)
class _Needs:
    """What a verification runs: models, upstreams first, each with the path to it; and mocks, by the names of their CTEs."""

    models: dict[Reference, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    mocks: set[str] = dataclasses.field(default_factory=set)


class _Compiling:
    """One test."""

    def __init__(self, around: _Surroundings, test: UnitTest) -> None:
        self._around = around
        self._test = test
        self.problems: list[Problem] = []
        self._ctes = CtesOfTest(self._typed(test))
        self._given: dict[str, KnownColumns | None] = {}
        self._completed: dict[str, tuple[Column, ...]] = {}
        self._outputs: dict[Reference, KnownColumns | None] = {}
        self._model_ctes: dict[Reference, str] = {}
        self._macro_texts: dict[str, str] = {}

    def compiled(self) -> CompiledUnitTest:
        """Raises _Refused."""
        roles = (CteRole.EXPECTED, CteRole.ASSERT)
        verified = [name for name, cte in self._ctes.by_name.items() if cte.role in roles]
        self._check_mode(verified)
        if self._test.mode is not UnitTestMode.MODEL:
            return self._compiled_directly()
        self._check_names()
        self._read_macro_mocks()
        try:
            closures = {name: self._ctes.closure(name) for name in verified}
            needs = {name: self._needs(name, closure) for name, closure in closures.items()}
            self._stop_if_wrong()
            everything = _Needs()
            for each in needs.values():
                everything.models.update(each.models)
                everything.mocks |= each.mocks
            mocks = self._ctes.mocks_in_order(everything.mocks)
            needed = {name: self._ctes.mocks_in_order(each.mocks) for name, each in needs.items()}
        except CycleOfCtes as cycle:
            self._refuse("TEST_REFERENCE", f"CTEs read each other: {cycle}", "remove one of these", self._test.place)
        self._check_mocks(mocks)
        self._check_macro_mocks(everything)
        self._check_number(everything)
        self._stop_if_wrong()
        self._find_columns(mocks, everything)
        verifications = tuple(
            self._verification(self._ctes.by_name[name], closure, needs[name], needed[name])
            for name, closure in closures.items()
        )
        self._stop_if_wrong()
        about = dict.fromkeys(id for name, closure in closures.items() for id in self._about(name, closure))
        return CompiledUnitTest(
            plan=UnitTestPlan(
                verifications=verifications,
                models=tuple(reference.name for reference in everything.models),
                paths={reference.name: path for reference, path in everything.models.items()},
                mocks=tuple((self._ctes.mocks[name].role.value, self._ctes.mocks[name].subject) for name in mocks),
                completed={
                    self._ctes.mocks[name].name: tuple(column.name for column in columns)
                    for name, columns in self._completed.items()
                    if columns
                },
            ),
            tests=tuple(about),
            code=_digest(verifications),
        )

    def _compiled_directly(self) -> CompiledUnitTest:
        """A test of a macro, which runs no model. Raises _Refused."""
        named = {cte.role: name for name, cte in self._ctes.by_name.items() if cte.role is not CteRole.HELPER}
        actual = named.get(CteRole.ACTUAL)
        if actual is None or CteRole.EXPECTED not in named:
            missing = f"__{self._test.mode}_{'actual' if actual is None else 'expected'}__"
            help = f"write {missing} AS (SELECT ...)"
            self._refuse("NO_EXPECTATION", f"{missing} is missing", help, self._test.place)
        called = tuple(dict.fromkeys(each.macro for each in self._ctes.by_name[actual].expansions))
        if not called:
            help = 'write for example SELECT @py.name("x") AS x'
            self._refuse("NO_EXPECTATION", "__macro_actual__ calls no macro", help, self._ctes.by_name[actual].place)
        text = SqlText()
        text.add("WITH ")
        self._add_directly(text, actual, ACTUAL)
        text.add(", ")
        self._add_directly(text, named[CteRole.EXPECTED], EXPECTED)
        self._stop_if_wrong()
        expected = self._ctes.by_name[named[CteRole.EXPECTED]]
        if expected.expansions:
            help = "write out what is expected"
            self._refuse("TEST_CTE", f"{expected.name} calls a macro itself", help, expected.expansions[0].place)
        verification = Verification(name=", ".join(called), compares=True, place=expected.place, ctes=text.rendered({}))
        users = (
            id
            for id, declared in self._around.nodes.items()
            if isinstance(declared, Model) and any(each.macro in called for each in declared.expansions)
        )
        plan = UnitTestPlan(verifications=(verification,))
        return CompiledUnitTest(plan=plan, tests=tuple(users), code=_digest([verification]))

    def _add_directly(self, text: SqlText, name: str, called: str) -> None:
        """A CTE that reads helpers only, as one with another name."""
        cte = self._ctes.by_name[name]
        try:
            closure = self._ctes.closure(name)
        except CycleOfCtes as cycle:
            self._refuse("TEST_REFERENCE", f"CTEs read each other: {cycle}", "remove one of these", cte.place)
        for found in closure.references:
            call = f'{_CALLS[found.reference.kind]}("{found.reference.name}")'
            help = "give its rows in a helper of the test"
            self._problem("TEST_REFERENCE", f"a test of mode {self._test.mode} reads {call}", help, found.place)
        self._stop_if_wrong()
        text.add(f"{called}{cte.columns} AS (")
        self._add_query(text, name)
        text.add(")")
        if self._test.sql_analysis:
            self._analysed(name)

    # -- what is wrong ----------------------------------------------------------------------------------------------

    def _problem(self, code: str, message: str, help: str, place: Place) -> None:
        self.problems.append(
            Problem(
                code=code,
                message=f"{self._test.block}: {message}",
                help=help,
                path=place.path,
                line=place.line,
                column=place.column,
            )
        )

    def _refuse(self, code: str, message: str, help: str, place: Place) -> NoReturn:
        self._problem(code, message, help, place)
        raise _Refused

    def _stop_if_wrong(self) -> None:
        if self.problems:
            raise _Refused

    def _check_mode(self, verified: list[str]) -> None:
        test = self._test
        if test.place.path in self._around.broken:
            raise _Refused
        if test.mode in (UnitTestMode.UDF, UnitTestMode.TABLE_FN):
            help = "test a model that uses it"
            self._refuse("UNSUPPORTED", f"tests of mode {test.mode} are not supported yet", help, test.place)
        function = next((cte for cte in test.ctes if cte.role is CteRole.TABLE_FN), None)
        if function is not None:
            help = "mock what the model reads"
            self._refuse("UNSUPPORTED", f"`{function.name}`: such mocks are not supported yet", help, function.place)
        if not verified and test.mode is UnitTestMode.MODEL:
            help = "write __expected__MODEL AS (SELECT ...) with the rows that the model must give"
            self._refuse("NO_EXPECTATION", "nothing is expected", help, test.place)

    def _check_names(self) -> None:
        """Mocks and expectations are of nodes that exist, each of one kind only."""
        for name, cte in self._ctes.by_name.items():
            reference = Reference("model", cte.subject.lower()) if cte.role is CteRole.EXPECTED else mocked_by(cte)
            if reference is None:
                continue
            if reference not in self._around.ids:
                self._unknown(cte.name, reference, cte.place)
            elif cte.role is CteRole.EXPECTED and reference in self._ctes.mock_of:
                mock = self._ctes.by_name[self._ctes.mock_of[reference]].name
                help = "mock what the model reads, and let the model itself run"
                self._problem("TEST_REFERENCE", f"{mock} is a mock of what {cte.name} expects", help, cte.place)
            elif name in self._ctes.mocks and self._ctes.mock_of.get(reference) != name:
                self._problem("TEST_CTE", f"{reference.name} is mocked twice", "remove one", cte.place)

    def _read_macro_mocks(self) -> None:
        for cte in self._test.ctes:
            if cte.role is CteRole.MACRO:
                text = text_of_mock(cte)
                if text is None:
                    help = "write for example SELECT 'amount / 100.0'"
                    self._problem("TEST_CTE", f"{cte.name} must select one text and nothing else", help, cte.place)
                else:
                    self._macro_texts[cte.subject.lower()] = text

    def _check_macro_mocks(self, everything: _Needs) -> None:
        """A mock of a macro that nothing calls says nothing."""
        models = [self._around.nodes[self._around.ids[reference]] for reference in everything.models]
        called = {each.macro for model in models if isinstance(model, Model) for each in model.expansions}
        for cte in self._test.ctes:
            if cte.role is CteRole.MACRO and cte.subject.lower() not in {name.lower() for name in called}:
                near = difflib.get_close_matches(cte.subject, sorted(called), n=1, cutoff=0.6)
                help = f"did you mean __macro__{near[0]}?" if near else "remove it"
                message = f"{cte.name}: no model that the test runs calls the macro {cte.subject}"
                self._problem("TEST_REFERENCE", message, help, cte.place)

    def _unknown(self, written: str, reference: Reference, place: Place) -> None:
        files = {path.rpartition("/")[2].removesuffix(".sql") for path in self._around.broken}
        if reference.name in {name.lower() for name in files}:
            raise _Refused
        others = [other for other in self._around.ids if other.name == reference.name]
        if others:
            help = f"it is a {others[0].kind}: write {_PREFIXES[others[0].kind]}{reference.name}"
            if written.lower().startswith("__expected__"):
                help = "expect the rows of a model"
        else:
            names = [other.name for other in self._around.ids if other.kind == reference.kind]
            near = difflib.get_close_matches(reference.name, names, n=1, cutoff=0.6)
            prefix = written[: len(written) - len(reference.name)]
            help = f"did you mean {prefix}{near[0]}?" if near else f"declare the {reference.kind}, or correct the name"
        self._problem("TEST_REFERENCE", f'{written}: there is no {reference.kind} "{reference.name}"', help, place)

    def _check_mocks(self, mocks: Iterable[str]) -> None:
        for name in mocks:
            for found in self._ctes.closure(name).references:
                call = f'{_CALLS[found.reference.kind]}("{found.reference.name}")'
                prefix = _PREFIXES[found.reference.kind]
                mock = self._ctes.mocks[name].name
                help = f"read another mock by its name: FROM {prefix}{found.reference.name}"
                self._problem("TEST_REFERENCE", f"the mock {mock} reads {call}", help, found.place)

    def _check_number(self, everything: _Needs) -> None:
        most = self._around.most_models
        if len(everything.models) <= most:
            return
        shown = "; ".join(" -> ".join(path) for path in list(everything.models.values())[: most + 1])
        message = f"it runs the real SQL of {len(everything.models)} models, and at most {most} are allowed: {shown}"
        help = f"mock one nearer to the model under test, or set unit_test_max_real_models = {len(everything.models)}"
        self._problem("TEST_MODELS", message, f"{help} under [settings]", self._test.place)

    # -- what is needed ---------------------------------------------------------------------------------------------

    def _about(self, name: str, closure: Closure) -> Iterable[NodeId]:
        cte = self._ctes.by_name[name]
        if cte.role is CteRole.EXPECTED:
            yield self._around.ids[Reference("model", cte.subject.lower())]
        for found in closure.references:
            reference = _folded(found.reference)
            if reference.kind == "model" and reference not in self._ctes.mock_of:
                yield self._around.ids[reference]

    def _needs(self, name: str, closure: Closure) -> _Needs:
        cte = self._ctes.by_name[name]
        needs = _Needs(mocks=set(closure.mocks))
        if cte.role is CteRole.EXPECTED:
            reference = Reference("model", cte.subject.lower())
            if reference in self._around.ids and reference not in self._ctes.mock_of:
                self._add_model(needs, reference, cte.place)
        for found in closure.references:
            self._add(needs, found.reference, found.place, reader="", path=())
        if not needs.models and not self.problems:
            help = "mock what the model reads, and read the model by __ref"
            self._problem(
                "TEST_REFERENCE", f"{cte.name} reads nothing but mocks, so it tests no model", help, cte.place
            )
        return needs

    def _add(self, needs: _Needs, written: Reference, place: Place, *, reader: str, path: tuple[str, ...]) -> None:
        """What a reference needs; `path` leads from the model under test to the model `reader`."""
        reference = _folded(written)
        if reference in self._ctes.mock_of:
            needs.mocks.add(self._ctes.mock_of[reference])
        elif reference.kind == "model":
            if reference in self._around.ids:
                self._add_model(needs, reference, place, path)
            elif not reader:
                self._unknown(f'__ref("{written.name}")', reference, place)
        elif not reader and reference not in self._around.ids:
            self._unknown(f'{_CALLS[written.kind]}("{written.name}")', reference, place)
        else:
            call = f'{_CALLS[written.kind]}("{written.name}")'
            way = f" ({' -> '.join(path)})" if len(path) > 1 else ""
            who = f"{reader}{way} reads" if reader else "it reads"
            help = f"add {_PREFIXES[written.kind]}{written.name} AS (SELECT ...)"
            self._problem("TEST_REFERENCE", f"{who} {call}, which the test does not mock", help, place)

    def _add_model(self, needs: _Needs, reference: Reference, place: Place, path: tuple[str, ...] = ()) -> None:
        pending = [(reference, path, False)]
        while pending:
            current, way, is_done = pending.pop()
            if is_done:
                needs.models.setdefault(current, way)
                continue
            if current in needs.models:
                continue
            model = self._model(current)
            way = (*way, model.name)
            pending.append((current, way, True))
            for found in reversed(model.references):
                upstream = _folded(found.reference)
                if upstream.kind == "model" and upstream in self._around.ids and upstream not in self._ctes.mock_of:
                    pending.append((upstream, way, False))
                else:
                    self._add(needs, found.reference, place, reader=model.name, path=way)

    def _model(self, reference: Reference) -> Model:
        model = self._around.nodes[self._around.ids[reference]]
        assert isinstance(model, Model)
        return with_macros(model, self._macro_texts) if self._macro_texts else model

    # -- columns ----------------------------------------------------------------------------------------------------

    def _typed(self, test: UnitTest) -> UnitTest:
        return dataclasses.replace(
            test,
            ctes=tuple(
                with_typed_nulls(cte, self._declared(reference) or ())
                if (reference := mocked_by(cte)) is not None and reference in self._around.ids
                else cte
                for cte in test.ctes
            ),
        )

    def _declared(self, reference: Reference) -> tuple[Column, ...] | None:
        known = self._around.columns.get(self._around.ids[reference])
        return known.columns if known is not None else None

    def _find_columns(self, mocks: Iterable[str], everything: _Needs) -> None:
        """Of every mock and model, as far as they are known; what is surely wrong with them is a problem."""
        for name in mocks:
            self._find_columns_of_mock(name)
        if self.problems or not self._test.sql_analysis:
            return
        for reference in everything.models:
            self._find_columns_of_model(reference)

    def _find_columns_of_mock(self, name: str) -> None:
        cte = self._ctes.mocks[name]
        reference = mocked_by(cte)
        assert reference is not None
        declared = self._declared(reference)
        if cte.is_empty:
            self._find_columns_of_empty(name, reference, declared)
            return
        self._given[name] = None
        self._completed[name] = ()
        if not self._test.sql_analysis:
            return
        given = renamed(self._analysed(name), cte.columns)
        if given is None:
            return
        known = self._around.columns.get(self._around.ids[reference])
        if declared is not None:
            self._completed[name] = columns_to_complete(
                (column for column, _ in given), declared, fold=self._around.folds
            )
            if known is not None and known.complete:
                self._check_given(cte, reference, given, declared)
        self._given[name] = (*given, *((column.name, column.type) for column in self._completed[name]))

    def _find_columns_of_empty(self, name: str, reference: Reference, declared: tuple[Column, ...] | None) -> None:
        cte = self._ctes.mocks[name]
        untyped = [column.name for column in declared or () if not column.type]
        if not declared or untyped:
            what = f"the types of {', '.join(untyped[:5])}" if untyped else "the columns"
            help = "declare them, or write SELECT CAST(NULL AS INTEGER) AS id, ... WHERE FALSE"
            self._problem("MOCK_COLUMNS", f"{what} of {reference.name} are not known", help, cte.place)
            return
        self._completed[name] = declared
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
                self._problem("MOCK_COLUMNS", message, help, cte.place)

    def _analysed(self, name: str) -> KnownColumns | None:
        """The columns that the query of a CTE gives; findings in it are problems."""
        text = SqlText()
        self._add_query(text, name)
        inputs: dict[Hashable, QueryInput] = {
            **{self._reference_of(mock): self._input_of_mock(mock) for mock in self._given},
            **{model: self._input_of_model(model) for model in self._outputs},
        }
        analysed = analyse_text(text, self._with_unknown(inputs, name), self._around.analysis)
        for finding in analysed.findings:
            self._add_finding(finding, text.placed(), self._ctes.by_name[name])
        return analysed.columns

    def _with_unknown(self, inputs: dict[Hashable, QueryInput], name: str) -> dict[Hashable, QueryInput]:
        closure = self._ctes.closure(name)
        keys = [
            *(_folded(found.reference) for found in closure.references),
            *(self._reference_of(mock) for mock in closure.mocks),
        ]
        return {key: inputs.get(key, QueryInput(label=key.name, alias=self._around.alias(key))) for key in keys}

    def _add_finding(self, finding: Finding, placed: PlacedSql, cte: UnitTestCte) -> None:
        place = placed.place(finding.line, finding.column) if finding.line is not None else None
        help = finding.help if finding.certain else f"{finding.help}; {_NOT_UNDERSTOOD}"
        self._problem(finding.code, finding.message, help, place or place_of_sql(cte))

    def _reference_of(self, mock: str) -> Reference:
        reference = mocked_by(self._ctes.mocks[mock])
        assert reference is not None
        return reference

    def _input_of_mock(self, mock: str) -> QueryInput:
        cte, reference = self._ctes.mocks[mock], self._reference_of(mock)
        return query_input(f"the mock {cte.name}", self._around.alias(reference), self._given.get(mock))

    def _input_of_model(self, reference: Reference) -> QueryInput:
        return query_input(reference.name, self._around.alias(reference), self._outputs.get(reference))

    def _find_columns_of_model(self, reference: Reference) -> None:
        """Whether a model finds in the mocks what it reads."""
        model = self._model(reference)
        known = self._around.columns.get(self._around.ids[reference])
        self._outputs[reference] = None
        if not model.sql_analysis or known is None or model.place.path in self._around.broken:
            return
        inputs: list[QueryInput] = []
        references: list[InputReference] = []
        for found in model.references:
            upstream = _folded(found.reference)
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
                self._problem("MOCK_COLUMNS", message, "give the mock this column", self._test.place)
        self._outputs[reference] = analysed.columns

    # -- SQL --------------------------------------------------------------------------------------------------------

    def _verification(self, cte: UnitTestCte, closure: Closure, needs: _Needs, mocks: tuple[str, ...]) -> Verification:
        text = SqlText()
        text.add("WITH ")
        for mock in mocks:
            self._add_mock(text, mock)
            text.add(", ")
        for reference in needs.models:
            self._add_model_cte(text, reference)
            text.add(", ")
        name = cte.name.lower()
        compares = cte.role is CteRole.EXPECTED
        if compares:
            model = Reference("model", cte.subject.lower())
            text.add(f"{ACTUAL} AS (SELECT * FROM {self._model_name(model)}), ")
        text.add(f"{EXPECTED if compares else ACTUAL}{cte.columns} AS (")
        if compares and cte.is_empty:
            columns = self._declared(model) or ()
            if not columns or any(not column.type for column in columns):
                help = "declare them, or name the columns that are compared: SELECT 1 AS id WHERE FALSE"
                self._problem(
                    "MOCK_COLUMNS", f"the types of the columns of {model.name} are not known", help, cte.place
                )
            text.add(f"SELECT {null_columns(columns)} WHERE FALSE")
        else:
            self._add_query(text, name)
        text.add(")")
        if self._test.sql_analysis and not cte.is_empty:
            listed = renamed(self._analysed(name), cte.columns)
            if compares:
                self._check_expected(cte, listed, self._outputs.get(model))
        names: dict[Hashable, str] = {reference: self._model_name(reference) for reference in needs.models}
        names |= {self._reference_of(mock): self._ctes.mocks[mock].name for mock in mocks}
        subject = self._model(model).name if compares else cte.subject
        return Verification(name=subject, compares=compares, place=cte.place, ctes=text.rendered(names))

    def _check_expected(self, cte: UnitTestCte, listed: KnownColumns | None, outputs: KnownColumns | None) -> None:
        if listed is None or outputs is None:
            return
        names = {self._around.key(name): name for name, _ in outputs}
        for name, _ in listed:
            if self._around.key(name) not in names:
                near = difflib.get_close_matches(name, list(names.values()), n=1, cutoff=0.6)
                help = f'did you mean "{near[0]}"?' if near else f"it gives {', '.join(list(names.values())[:8])}"
                message = f"{cte.name} lists the column {name}, which {cte.subject} does not give"
                self._problem("UNKNOWN_COLUMN", message, help, cte.place)

    def _add_mock(self, text: SqlText, name: str) -> None:
        cte = self._ctes.mocks[name]
        completed = self._completed.get(name, ())
        if cte.is_empty:
            text.add(f"{cte.name} AS (SELECT {null_columns(completed)} WHERE FALSE)")
        elif completed:
            text.add(f"{cte.name} AS (SELECT *, {null_columns(completed)} FROM (")
            self._add_query(text, name)
            text.add(f') AS "_"{cte.columns})')
        else:
            text.add(f"{cte.name}{cte.columns} AS (")
            self._add_query(text, name)
            text.add(")")

    def _add_query(self, text: SqlText, name: str) -> None:
        helpers = self._ctes.closure(name).helpers
        self._ctes.add_query(text, name, helpers, {each: self._readings(each) for each in (*helpers, name)})

    def _readings(self, name: str) -> list[Reading]:
        cte = self._ctes.by_name[name]
        found = [
            Reading(each.start, each.end, _folded(each.reference), self._around.alias(_folded(each.reference)))
            for each in cte.references
        ]
        by_name = [
            Reading(start, end, self._reference_of(read), None)
            for read, start, end in self._ctes.reads(name)
            if read in self._ctes.mocks
        ]
        return sorted((*found, *by_name))

    def _add_model_cte(self, text: SqlText, reference: Reference) -> None:
        model = self._model(reference)
        text.add(f"{self._model_name(reference)} AS (")
        readables: dict[Reference, Readable] = {}
        for found in model.references:
            upstream = _folded(found.reference)
            mock = self._ctes.mock_of.get(upstream)
            name = self._ctes.mocks[mock].name if mock is not None else self._model_name(upstream)
            readables[found.reference] = Readable(alias=self._around.alias(upstream), query=name)
        sql = model_query(model, readables, self._around.dialect)
        placed = self._with_types(model, reference, sql)
        text.add_placed(placed, Place(model.place.path, model.sql_line, 1), (), model.sql, model.expansions)
        text.add(")")

    def _with_types(self, model: Model, reference: Reference, sql: str) -> str:
        """On PostgreSQL a table gets its declared types when it is built."""
        known = self._around.columns.get(self._around.ids[reference])
        declared = {column.name: column.type for column in model.columns if column.type}
        is_typed = self._around.dialect == "postgres" and model.materialized is not Materialization.VIEW and declared
        if not is_typed or known is None or not known.complete or known.columns is None:
            return sql
        columns = [dataclasses.replace(column, type=declared.get(column.name)) for column in known.columns]
        return render_columns(f'{in_brackets(sql)} AS "_"', columns)

    def _model_name(self, reference: Reference) -> str:
        """Of the CTE that has a model's rows."""
        if reference not in self._model_ctes:
            number = f"_{len(self._model_ctes)}" if len(reference.name) > _LONGEST_NAME else ""
            self._model_ctes[reference] = quote_identifier(f"__model__{reference.name[:_LONGEST_NAME]}{number}")
        return self._model_ctes[reference]


def _folded(reference: Reference) -> Reference:
    return Reference(reference.kind, reference.name.lower())


def _digest(verifications: Iterable[Verification]) -> str:
    return canonical_digest("\n".join(f"{each.name} {each.compares} {each.ctes.text}" for each in verifications))
