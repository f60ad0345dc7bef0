"""The SQL of a unit test: its mocks, and the models that it runs, as CTEs."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Mapping, Sequence

from sqlbuild.compiler.model_query import model_query
from sqlbuild.compiler.unit_test_columns import null_columns
from sqlbuild.compiler.unit_test_ctes import CtesOfTest, mocked_by
from sqlbuild.compiler.unit_test_functions import copy_of, with_whole_calls
from sqlbuild.compiler.unit_test_macros import with_macros
from sqlbuild.compiler.unit_test_surroundings import Surroundings, folded
from sqlbuild.compiler.unit_test_text import Reading, SqlText
from sqlbuild.domain.columns import Column
from sqlbuild.domain.cursor_windows import Window
from sqlbuild.domain.ids import Place
from sqlbuild.domain.nodes import Model
from sqlbuild.refs import Reference
from sqlbuild.sql.rendering import Readable, in_brackets, quote_identifier, quote_relation, render_columns

_LONGEST_NAME = 40


class StatementsOfTest:
    """Of one test; `macro_texts` stand for what macros of these names, in lower case, give."""

    def __init__(self, around: Surroundings, ctes: CtesOfTest) -> None:
        self._around = around
        self._ctes = ctes
        self._model_ctes: dict[Reference, str] = {}
        self.macro_texts: dict[str, str] = {}
        self.windows: dict[Reference, Window] = {}
        """Model -> bounds of its cursor, where they are not far away."""

    def model(self, reference: Reference) -> Model:
        model = self._around.nodes[self._around.ids[reference]]
        assert isinstance(model, Model)
        if self.macro_texts:
            model = with_macros(model, self.macro_texts)
        if any(found.call for found in model.references):
            references = with_whole_calls(model.sql, model.references, self._ctes.mock_of.keys())
            model = dataclasses.replace(model, references=references)
        return model

    def add_mock(self, text: SqlText, name: str, completed: Sequence[Column]) -> None:
        cte = self._ctes.mocks[name]
        if cte.is_empty:
            text.add(f"{cte.name} AS (SELECT {null_columns(completed)} WHERE FALSE)")
        elif completed:
            text.add(f"{cte.name} AS (SELECT *, {null_columns(completed)} FROM (")
            self.add_query(text, name)
            text.add(f') AS "_"{cte.columns})')
        else:
            text.add(f"{cte.name}{cte.columns} AS (")
            self.add_query(text, name)
            text.add(")")

    def add_query(self, text: SqlText, name: str) -> None:
        helpers = self._ctes.closure(name).helpers
        self._ctes.add_query(text, name, helpers, {each: self.readings(each) for each in (*helpers, name)})

    def readings(self, name: str) -> list[Reading]:
        cte = self._ctes.by_name[name]
        found = [
            Reading(each.start, each.end, folded(each.reference), self._alias(folded(each.reference)))
            for each in cte.references
        ]
        by_name = [
            Reading(start, end, self.reference_of(read), None)
            for read, start, end in self._ctes.reads(name)
            if read in self._ctes.mocks
        ]
        return sorted((*found, *by_name))

    def _alias(self, reference: Reference) -> str:
        """Empty for a function that is really called."""
        if reference.kind == "function" and reference not in self._ctes.mock_of:
            return ""
        return self._around.alias(reference)

    def _readable(self, reference: Reference) -> Readable:
        mock = self._ctes.mock_of.get(reference)
        if mock is not None:
            return Readable(alias=self._around.alias(reference), query=self._ctes.mocks[mock].name)
        if reference.kind == "function":
            return Readable(alias="", relation=copy_of(reference, self._around, self._ctes.test))
        return Readable(alias=self._around.alias(reference), query=self.model_name(reference))

    def add_model_cte(self, text: SqlText, reference: Reference) -> None:
        model = self.model(reference)
        text.add(f"{self.model_name(reference)} AS (")
        readables = {found.reference: self._readable(folded(found.reference)) for found in model.references}
        sql = model_query(model, readables, self._around.dialect, self.windows.get(reference))
        placed = self._with_types(model, reference, sql)
        text.add_placed(placed, Place(model.place.path, model.sql_line, 1), (), model.sql, model.expansions)
        text.add(")")

    def _with_types(self, model: Model, reference: Reference, sql: str) -> str:
        """On PostgreSQL a table gets its declared types when it is built."""
        known = self._around.columns.get(self._around.ids[reference])
        declared = {column.name: column.type for column in model.columns if column.type}
        is_typed = self._around.dialect == "postgres" and model.is_table and declared
        if not is_typed or known is None or not known.complete or known.columns is None:
            return sql
        columns = [dataclasses.replace(column, type=declared.get(column.name)) for column in known.columns]
        return render_columns(f'{in_brackets(sql)} AS "_"', columns)

    def model_name(self, reference: Reference) -> str:
        """Of the CTE that has a model's rows."""
        if reference not in self._model_ctes:
            number = f"_{len(self._model_ctes)}" if len(reference.name) > _LONGEST_NAME else ""
            self._model_ctes[reference] = quote_identifier(f"__model__{reference.name[:_LONGEST_NAME]}{number}")
        return self._model_ctes[reference]

    def reference_of(self, mock: str) -> Reference:
        reference = mocked_by(self._ctes.mocks[mock])
        assert reference is not None
        return reference

    def names(
        self, models: Iterable[Reference], mocks: Iterable[str], functions: Iterable[Reference]
    ) -> Mapping[Hashable, str]:
        """What stands for a reference in the SQL of the test."""
        names: dict[Hashable, str] = {reference: self.model_name(reference) for reference in models}
        for reference in functions:
            names[reference] = quote_relation(copy_of(reference, self._around, self._ctes.test))
        return names | {self.reference_of(mock): self._ctes.mocks[mock].name for mock in mocks}
