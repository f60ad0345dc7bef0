"""Unit tests become SQL: what they verify, computed from their mocks by the real SQL of the models between."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping

from sqlbuild.compiler.node_columns import NodeColumns
from sqlbuild.compiler.resolve_refs import Resolved
from sqlbuild.compiler.unit_test_columns import (
    null_columns,
    renamed,
    with_typed_nulls,
)
from sqlbuild.compiler.unit_test_ctes import Closure, CtesOfTest, CycleOfCtes, mocked_by
from sqlbuild.compiler.unit_test_functions import function_copies, with_whole_calls
from sqlbuild.compiler.unit_test_macros import text_of_mock
from sqlbuild.compiler.unit_test_needs import Needs, called_by, digest_of_test
from sqlbuild.compiler.unit_test_shapes import ShapesOfTest
from sqlbuild.compiler.unit_test_statements import StatementsOfTest
from sqlbuild.compiler.unit_test_surroundings import PREFIXES, ProblemsOfTest, Refused, Surroundings, folded
from sqlbuild.compiler.unit_test_text import SqlText
from sqlbuild.compiler.unit_test_windows import windows_of
from sqlbuild.domain.ids import NodeId, Place
from sqlbuild.domain.nodes import Model, UnitTest
from sqlbuild.domain.project import Project
from sqlbuild.domain.record import record
from sqlbuild.domain.unit_tests import (
    ACTUAL,
    EXPECTED,
    CteRole,
    FunctionCopy,
    UnitTestCte,
    UnitTestMode,
    UnitTestPlan,
    Verification,
)
from sqlbuild.errors import Problem
from sqlbuild.interfaces.analysis_cache import AnalysisCache
from sqlbuild.refs import CALLS, Reference


@record(frozen=True, slots=True, kw_only=True)
class CompiledUnitTest:
    """`tests` are the models that it is about; `code` is a digest of all that it runs."""

    plan: UnitTestPlan
    tests: tuple[NodeId, ...]
    code: str


@record(frozen=True, slots=True, kw_only=True)
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
    surroundings = Surroundings(project, resolved, columns, cache)
    compiled: dict[NodeId, CompiledUnitTest] = {}
    problems: dict[Problem, None] = {}
    for node, test in tests.items():
        compiling = _Compiling(surroundings, test)
        try:
            compiled[node] = compiling.compiled()
        except Refused:
            pass
        problems.update(dict.fromkeys(compiling.found))
    return CompiledUnitTests(tests=compiled, problems=tuple(problems))


class _Compiling:
    """One test."""

    def __init__(self, around: Surroundings, test: UnitTest) -> None:
        self._around = around
        self._test = test
        self._problems = ProblemsOfTest(test.block)
        self._ctes = CtesOfTest(self._typed(test))
        self._statements = StatementsOfTest(around, self._ctes)
        self._shapes = ShapesOfTest(around, test, self._ctes, self._statements, self._problems)

    @property
    def found(self) -> list[Problem]:
        return self._problems.found

    def compiled(self) -> CompiledUnitTest:
        """Raises Refused."""
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
            self._problems.stop_if_any()
            everything = Needs()
            for each in needs.values():
                everything.add(each)
            mocks = self._ctes.mocks_in_order(everything.mocks | everything.inside)
            needed = {name: self._ctes.mocks_in_order(each.mocks) for name, each in needs.items()}
        except CycleOfCtes as cycle:
            self._problems.refuse(
                "TEST_REFERENCE", f"CTEs read each other: {cycle}", "remove one of these", self._test.place
            )
        self._check_mocks(mocks)
        self._check_macro_mocks(everything)
        self._check_number(everything)
        models = {reference: self._statements.model(reference) for reference in everything.models}
        self._statements.windows.update(windows_of(self._test, models, self._problems))
        self._problems.stop_if_any()
        self._shapes.find_columns(mocks, everything.models)
        verifications = tuple(
            self._verification(self._ctes.by_name[name], closure, needs[name], needed[name])
            for name, closure in closures.items()
        )
        self._problems.stop_if_any()
        functions = self._copies(everything)
        about = dict.fromkeys(id for name, closure in closures.items() for id in self._about(name, closure))
        return CompiledUnitTest(
            plan=UnitTestPlan(
                verifications=verifications,
                functions=functions,
                models=tuple(reference.name for reference in everything.models),
                paths={reference.name: path for reference, path in everything.models.items()},
                mocks=self._shown(mocks),
                completed={
                    self._ctes.mocks[name].name: tuple(column.name for column in columns)
                    for name, columns in self._shapes.completed.items()
                    if columns
                },
            ),
            tests=tuple(about),
            code=digest_of_test(verifications, functions, self._around.analysis),
        )

    def _compiled_directly(self) -> CompiledUnitTest:
        """A test of a macro or function, which runs no model. Raises Refused."""
        kind = "macro" if self._test.mode is UnitTestMode.MACRO else "function"
        for cte in self._ctes.mocks.values():
            reference = mocked_by(cte)
            if reference is not None and reference not in self._around.ids:
                self._unknown(cte.name, reference, cte.place)
        named = {cte.role: name for name, cte in self._ctes.by_name.items() if cte.role is not CteRole.HELPER}
        actual = named.get(CteRole.ACTUAL)
        if actual is None or CteRole.EXPECTED not in named:
            missing = f"__{self._test.mode}_{'actual' if actual is None else 'expected'}__"
            help = f"write {missing} AS (SELECT ...)"
            self._problems.refuse("NO_EXPECTATION", f"{missing} is missing", help, self._test.place)
        tested = self._ctes.by_name[actual]
        called = called_by(tested, kind)
        if not called:
            example = '@py.name("x")' if kind == "macro" else '__udf("name")(1)'
            help = f"write for example SELECT {example} AS x"
            self._problems.refuse("NO_EXPECTATION", f"{tested.name} calls no {kind}", help, tested.place)
        needs = Needs()
        text = SqlText()
        text.add("WITH ")
        self._add_directly(text, actual, ACTUAL, needs)
        text.add(", ")
        self._add_directly(text, named[CteRole.EXPECTED], EXPECTED, needs)
        self._problems.stop_if_any()
        expected = self._ctes.by_name[named[CteRole.EXPECTED]]
        if expected.expansions or expected.references:
            help = "write out what is expected"
            self._problems.refuse("TEST_CTE", f"{expected.name} calls a {kind} itself", help, expected.place)
        mocks = self._mocks_inside(needs)
        names = self._statements.names((), (), needs.functions)
        verification = Verification(
            name=", ".join(called), compares=True, place=expected.place, ctes=text.rendered(names)
        )
        users = (
            id
            for id, declared in self._around.nodes.items()
            if isinstance(declared, Model) and not called.keys().isdisjoint(called_by(declared, kind))
        )
        functions = self._copies(needs)
        plan = UnitTestPlan(verifications=(verification,), functions=functions, mocks=self._shown(mocks))
        code = digest_of_test([verification], functions, self._around.analysis)
        return CompiledUnitTest(plan=plan, tests=tuple(users), code=code)

    def _shown(self, mocks: Iterable[str]) -> tuple[tuple[str, str], ...]:
        return tuple((self._ctes.mocks[name].role.value, self._ctes.mocks[name].subject) for name in mocks)

    def _mocks_inside(self, needs: Needs) -> tuple[str, ...]:
        """Those of what functions read, in a test of functions alone. Raises Refused."""
        mocks = self._in_order(needs.inside)
        self._check_mocks(mocks)
        self._problems.stop_if_any()
        self._shapes.find_columns(mocks, ())
        self._problems.stop_if_any()
        return mocks

    def _in_order(self, mocks: set[str]) -> tuple[str, ...]:
        """Raises Refused."""
        try:
            return self._ctes.mocks_in_order(mocks)
        except CycleOfCtes as cycle:
            message, help = f"CTEs read each other: {cycle}", "remove one of these"
            self._problems.refuse("TEST_REFERENCE", message, help, self._test.place)

    def _copies(self, needs: Needs) -> tuple[FunctionCopy, ...]:
        queries: dict[Reference, str] = {}
        for name in needs.inside:
            text = SqlText()
            mocks = self._ctes.mocks_in_order({name})
            for index, mock in enumerate(mocks):
                text.add(", " if index else "(WITH ")
                self._statements.add_mock(text, mock, self._shapes.completed.get(mock, ()))
            text.add(f" SELECT * FROM {self._ctes.mocks[name].name})")
            queries[self._statements.reference_of(name)] = text.rendered(self._statements.names((), mocks, ())).text
        return function_copies(needs.functions, self._around, self._test, queries)

    def _add_directly(self, text: SqlText, name: str, called: str, needs: Needs) -> None:
        """A CTE that reads helpers only, as one with another name."""
        cte = self._ctes.by_name[name]
        try:
            closure = self._ctes.closure(name)
        except CycleOfCtes as cycle:
            self._problems.refuse("TEST_REFERENCE", f"CTEs read each other: {cycle}", "remove one of these", cte.place)
        for mock in closure.mocks:
            help = "give its rows in a helper of the test; mocks stand for what functions read"
            message = f"{cte.name} reads the mock {self._ctes.mocks[mock].name}"
            self._problems.add_problem("TEST_REFERENCE", message, help, cte.place)
        for found in closure.references:
            if found.call:
                self._add(needs, found.reference, found.place, reader="", path=())
                continue
            call = f'{CALLS[found.reference.kind]}("{found.reference.name}")'
            help = "give its rows in a helper of the test"
            self._problems.add_problem(
                "TEST_REFERENCE", f"a test of mode {self._test.mode} reads {call}", help, found.place
            )
        self._problems.stop_if_any()
        text.add(f"{called}{cte.columns} AS (")
        self._statements.add_query(text, name)
        text.add(")")
        if self._test.sql_analysis:
            self._shapes.analysed(name)

    # -- what is wrong ----------------------------------------------------------------------------------------------

    def _check_mode(self, verified: list[str]) -> None:
        test = self._test
        if test.place.path in self._around.broken:
            raise Refused
        if not verified and test.mode is UnitTestMode.MODEL:
            help = "write __expected__MODEL AS (SELECT ...) with the rows that the model must give"
            self._problems.refuse("NO_EXPECTATION", "nothing is expected", help, test.place)

    def _check_names(self) -> None:
        """Mocks and expectations are of nodes that exist, each of one kind only."""
        for name, cte in self._ctes.by_name.items():
            reference = Reference("model", cte.subject.lower()) if cte.role is CteRole.EXPECTED else mocked_by(cte)
            if reference is None:
                continue
            if reference not in self._around.ids:
                self._unknown(cte.name, reference, cte.place)
            elif cte.role is CteRole.TABLE_FN and not self._around.function(reference).is_table:
                help = "only calls of table functions can be mocked"
                self._problems.add_problem(
                    "TEST_REFERENCE", f"{cte.name}: {reference.name} gives one value", help, cte.place
                )
            elif cte.role is CteRole.EXPECTED and reference in self._ctes.mock_of:
                mock = self._ctes.by_name[self._ctes.mock_of[reference]].name
                help = "mock what the model reads, and let the model itself run"
                self._problems.add_problem(
                    "TEST_REFERENCE", f"{mock} is a mock of what {cte.name} expects", help, cte.place
                )
            elif name in self._ctes.mocks and self._ctes.mock_of.get(reference) != name:
                self._problems.add_problem("TEST_CTE", f"{reference.name} is mocked twice", "remove one", cte.place)

    def _read_macro_mocks(self) -> None:
        for cte in self._test.ctes:
            if cte.role is CteRole.MACRO:
                text = text_of_mock(cte)
                if text is None:
                    help = "write for example SELECT 'amount / 100.0'"
                    self._problems.add_problem(
                        "TEST_CTE", f"{cte.name} must select one text and nothing else", help, cte.place
                    )
                else:
                    self._statements.macro_texts[cte.subject.lower()] = text

    def _check_macro_mocks(self, everything: Needs) -> None:
        """A mock of a macro that nothing calls says nothing."""
        models = [self._around.nodes[self._around.ids[reference]] for reference in everything.models]
        called = {each.macro for model in models if isinstance(model, Model) for each in model.expansions}
        for cte in self._test.ctes:
            if cte.role is CteRole.MACRO and cte.subject.lower() not in {name.lower() for name in called}:
                near = difflib.get_close_matches(cte.subject, sorted(called), n=1, cutoff=0.6)
                help = f"did you mean __macro__{near[0]}?" if near else "remove it"
                message = f"{cte.name}: no model that the test runs calls the macro {cte.subject}"
                self._problems.add_problem("TEST_REFERENCE", message, help, cte.place)

    def _unknown(self, written: str, reference: Reference, place: Place) -> None:
        files = {path.rpartition("/")[2].removesuffix(".sql") for path in self._around.broken}
        if reference.name in {name.lower() for name in files}:
            raise Refused
        others = [other for other in self._around.ids if other.name == reference.name]
        if others:
            help = f"it is a {others[0].kind}: write {PREFIXES[others[0].kind]}{reference.name}"
            if written.lower().startswith("__expected__"):
                help = "expect the rows of a model"
        else:
            names = [other.name for other in self._around.ids if other.kind == reference.kind]
            near = difflib.get_close_matches(reference.name, names, n=1, cutoff=0.6)
            prefix = written[: len(written) - len(reference.name)]
            help = f"did you mean {prefix}{near[0]}?" if near else f"declare the {reference.kind}, or correct the name"
        self._problems.add_problem(
            "TEST_REFERENCE", f'{written}: there is no {reference.kind} "{reference.name}"', help, place
        )

    def _check_mocks(self, mocks: Iterable[str]) -> None:
        for name in mocks:
            for found in self._ctes.closure(name).references:
                call = f'{CALLS[found.reference.kind]}("{found.reference.name}")'
                prefix = PREFIXES[found.reference.kind]
                mock = self._ctes.mocks[name].name
                help = f"read another mock by its name: FROM {prefix}{found.reference.name}"
                self._problems.add_problem("TEST_REFERENCE", f"the mock {mock} reads {call}", help, found.place)

    def _check_number(self, everything: Needs) -> None:
        most = self._around.most_models
        if len(everything.models) <= most:
            return
        shown = "; ".join(" -> ".join(path) for path in list(everything.models.values())[: most + 1])
        message = f"it runs the real SQL of {len(everything.models)} models, and at most {most} are allowed: {shown}"
        help = f"mock one nearer to the model under test, or set unit_test_max_real_models = {len(everything.models)}"
        self._problems.add_problem("TEST_MODELS", message, f"{help} under [settings]", self._test.place)

    # -- what is needed ---------------------------------------------------------------------------------------------

    def _about(self, name: str, closure: Closure) -> Iterable[NodeId]:
        cte = self._ctes.by_name[name]
        if cte.role is CteRole.EXPECTED:
            yield self._around.ids[Reference("model", cte.subject.lower())]
        for found in closure.references:
            reference = folded(found.reference)
            if reference.kind == "model" and reference not in self._ctes.mock_of:
                yield self._around.ids[reference]

    def _needs(self, name: str, closure: Closure) -> Needs:
        cte = self._ctes.by_name[name]
        needs = Needs(mocks=set(closure.mocks))
        if cte.role is CteRole.EXPECTED:
            reference = Reference("model", cte.subject.lower())
            if reference in self._around.ids and reference not in self._ctes.mock_of:
                self._add_model(needs, reference, cte.place)
        for found in closure.references:
            self._add(needs, found.reference, found.place, reader="", path=())
        if not needs.models and not self._problems.found:
            help = "mock what the model reads, and read the model by __ref"
            self._problems.add_problem(
                "TEST_REFERENCE", f"{cte.name} reads nothing but mocks, so it tests no model", help, cte.place
            )
        return needs

    def _add(self, needs: Needs, written: Reference, place: Place, *, reader: str, path: tuple[str, ...]) -> None:
        """What a reference needs; `path` leads from the model under test to the model `reader`."""
        reference = folded(written)
        if reference in self._ctes.mock_of:
            needs.mocks.add(self._ctes.mock_of[reference])
        elif reference.kind == "model":
            if reference in self._around.ids:
                self._add_model(needs, reference, place, path)
            elif not reader:
                self._unknown(f'__ref("{written.name}")', reference, place)
        elif reference.kind == "function" and reference in self._around.ids:
            self._add_function(needs, reference, place)
        elif not reader and reference not in self._around.ids:
            self._unknown(f'{CALLS[written.kind]}("{written.name}")', reference, place)
        else:
            call = f'{CALLS[written.kind]}("{written.name}")'
            way = f" ({' -> '.join(path)})" if len(path) > 1 else ""
            who = f"{reader}{way} reads" if reader else "it reads"
            help = f"add {PREFIXES[written.kind]}{written.name} AS (SELECT ...)"
            self._problems.add_problem("TEST_REFERENCE", f"{who} {call}, which the test does not mock", help, place)

    def _add_function(self, needs: Needs, reference: Reference, place: Place) -> None:
        """A function is copied for the test, and so are those that it calls. What it reads is mocked."""
        if reference in needs.functions:
            return
        function = self._around.function(reference)
        for found in function.references:
            upstream = folded(found.reference)
            if upstream.kind == "function" and upstream in self._around.ids:
                self._add_function(needs, upstream, place)
                continue
            if upstream in self._ctes.mock_of:
                needs.inside.add(self._ctes.mock_of[upstream])
                continue
            call = f'{CALLS[found.reference.kind]}("{found.reference.name}")'
            message = f"the function {function.name} reads {call}, which the test does not mock"
            help = f"add {PREFIXES[found.reference.kind]}{found.reference.name} AS (SELECT ...)"
            if function.is_table and self._test.mode is UnitTestMode.MODEL:
                help = f"{help}, or mock the function: __table_fn__{function.name} AS (SELECT ...)"
            self._problems.add_problem("TEST_REFERENCE", message, help, place)
        needs.functions[reference] = None

    def _add_model(self, needs: Needs, reference: Reference, place: Place, path: tuple[str, ...] = ()) -> None:
        pending = [(reference, path, False)]
        while pending:
            current, way, is_done = pending.pop()
            if is_done:
                needs.models.setdefault(current, way)
                continue
            if current in needs.models:
                continue
            model = self._statements.model(current)
            way = (*way, model.name)
            pending.append((current, way, True))
            for found in reversed(model.references):
                upstream = folded(found.reference)
                if upstream.kind == "model" and upstream in self._around.ids and upstream not in self._ctes.mock_of:
                    pending.append((upstream, way, False))
                else:
                    self._add(needs, found.reference, place, reader=model.name, path=way)

    # -- columns ----------------------------------------------------------------------------------------------------

    def _typed(self, test: UnitTest) -> UnitTest:
        """With types for what is NULL in mocks, and calls of mocked functions as a whole."""
        mocked = {mocked_by(cte) for cte in test.ctes}
        ctes: list[UnitTestCte] = []
        for cte in test.ctes:
            reference = mocked_by(cte)
            if any(found.call for found in cte.references):
                cte = dataclasses.replace(cte, references=with_whole_calls(cte.sql, cte.references, mocked))
            if reference is not None and reference in self._around.ids:
                cte = with_typed_nulls(cte, self._around.declared(reference) or ())
            ctes.append(cte)
        return dataclasses.replace(test, ctes=tuple(ctes))

    # -- SQL --------------------------------------------------------------------------------------------------------

    def _verification(self, cte: UnitTestCte, closure: Closure, needs: Needs, mocks: tuple[str, ...]) -> Verification:
        text = SqlText()
        text.add("WITH ")
        for mock in mocks:
            self._statements.add_mock(text, mock, self._shapes.completed.get(mock, ()))
            text.add(", ")
        for reference in needs.models:
            self._statements.add_model_cte(text, reference)
            text.add(", ")
        name = cte.name.lower()
        compares = cte.role is CteRole.EXPECTED
        if compares:
            model = Reference("model", cte.subject.lower())
            text.add(f"{ACTUAL} AS (SELECT * FROM {self._statements.model_name(model)}), ")
        text.add(f"{EXPECTED if compares else ACTUAL}{cte.columns} AS (")
        if compares and cte.is_empty:
            columns = self._around.declared(model) or ()
            if not columns or any(not column.type for column in columns):
                help = "declare them, or name the columns that are compared: SELECT 1 AS id WHERE FALSE"
                self._problems.add_problem(
                    "MOCK_COLUMNS", f"the types of the columns of {model.name} are not known", help, cte.place
                )
            text.add(f"SELECT {null_columns(columns)} WHERE FALSE")
        else:
            self._statements.add_query(text, name)
        text.add(")")
        if self._test.sql_analysis and not cte.is_empty:
            listed = renamed(self._shapes.analysed(name), cte.columns)
            if compares:
                self._shapes.check_expected(cte, listed, self._shapes.outputs.get(model))
        names = self._statements.names(needs.models, mocks, needs.functions)
        subject = self._statements.model(model).name if compares else cte.subject
        return Verification(name=subject, compares=compares, place=cte.place, ctes=text.rendered(names))
