"""Columns and column lineage of every node, as far as they can be known without the warehouse."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from sqlbuild.compiler.audit_queries import audit_query, digest_of_audit
from sqlbuild.compiler.cached_analysis import CachedAnalysis, KeyedQuery
from sqlbuild.compiler.contracts import contract_problems, missing_columns
from sqlbuild.compiler.finding_places import place_of_sql, problem_at, problem_in_sql, wrong_lines
from sqlbuild.compiler.function_columns import (
    BEHIND,
    SELECT,
    arguments_of,
    declared_columns,
    described_function,
    is_query,
    moved_back,
    returned_problems,
)
from sqlbuild.compiler.made_when_read import MadeWhenRead
from sqlbuild.compiler.model_query import RenderedQuery, rendered_query
from sqlbuild.compiler.node_columns import InferredColumns, NodeColumns
from sqlbuild.compiler.relations import relation_at, relation_of_function
from sqlbuild.compiler.resolve_refs import Resolved
from sqlbuild.compiler.topological_order import layers_of
from sqlbuild.domain.columns import Column, ColumnReference
from sqlbuild.domain.ids import NodeId, NodeKind, Place, Relation, kind_of, name_of, node_id
from sqlbuild.domain.nodes import (
    Asset,
    Audit,
    Check,
    Function,
    Loader,
    Model,
    Seed,
    Source,
    Task,
    UnitTest,
    kind_of_declaration,
    name_of_declaration,
)
from sqlbuild.domain.project import ExportedSql, Project
from sqlbuild.domain.source_map import written_in_line
from sqlbuild.errors import Problem
from sqlbuild.interfaces.analysis_cache import AnalysisCache
from sqlbuild.refs import CALLS, Reference
from sqlbuild.sql.analyse_query import AnalyseAll, canonical_digest
from sqlbuild.sql.query_analysis import InputReference, OutputColumn, QueryAnalysis, QueryInput
from sqlbuild.sql.rendering import (
    Readable,
    query_of_expression,
    quote_relation,
    render_casts,
    render_columns,
    render_source_expression,
)
from sqlbuild.sql.stored_analysis import input_digest
from sqlbuild.sql.type_names import canonical_type

AUDIT_NOT_UNDERSTOOD = "if the warehouse accepts it as it is, write `sql_analysis false` in the AUDIT header"
_EXPORTED = frozenset({NodeKind.MODEL, NodeKind.SOURCE, NodeKind.SEED})
NOWHERE_ELSE: Mapping[NodeId, Relation] = {}
NOT_UNDERSTOOD = "if the warehouse accepts it as it is, write `sql_analysis false` in the model's header"


def infer_columns(
    project: Project,
    resolved: Resolved,
    order: Iterable[NodeId],
    cache: AnalysisCache,
    deferred: Mapping[NodeId, Relation] = NOWHERE_ELSE,
    analyse_all: AnalyseAll | None = None,
) -> InferredColumns:
    """Go through the nodes, upstreams first, and find the columns of each from those before it.

    What is `deferred` is read at the relation given there. The analysis of a query comes from `cache` if it is there; only if it is not the SQL parser is loaded.
    `analyse_all` is given the models that can be analysed at the same time.
    """
    inference = _Inference(project, resolved, cache, deferred)
    for layer in layers_of(order, resolved.depends_on):
        if analyse_all is not None:
            inference.prepare(layer, analyse_all)
        _infer_layer(layer, project, resolved, inference)
    return InferredColumns(nodes=inference.known, problems=tuple(inference.problems))


def _infer_layer(layer: Iterable[NodeId], project: Project, resolved: Resolved, inference: _Inference) -> None:
    for node in layer:
        declaration = resolved.nodes[node]
        match declaration:
            case Source():
                inference.known[node] = inference.of_source(declaration)
            case Seed():
                inference.known[node] = inference.of_seed(declaration)
            case Model():
                inference.known[node] = inference.of_model(node, declaration)
            case Function():
                inference.known[node] = inference.of_function(node, declaration)
            case Asset(columns=columns):
                facts = project.code.get(node)
                if columns:
                    inference.known[node] = NodeColumns(columns=columns, complete=True)
                elif facts is not None and facts.export is not None:
                    inference.known[node] = inference.of_export(node, facts.export)
            case Loader():
                inference.known[node] = inference.of_loader(declaration)
            case Audit():
                inference.known[node] = inference.of_audit(node, declaration)
            case Task() | Check() | UnitTest():
                pass


class _Inference:
    def __init__(
        self, project: Project, resolved: Resolved, cache: AnalysisCache, deferred: Mapping[NodeId, Relation]
    ) -> None:
        self.project = project
        self.deferred = deferred
        self.target = project.settings.target
        self.dialect = self.target.connection.adapter
        self.resolved = resolved
        self.analysis = CachedAnalysis(cache, self.dialect)
        self.known: dict[NodeId, NodeColumns] = {}
        self.problems: list[Problem] = []
        self._readables: dict[NodeId, tuple[Readable, QueryInput, bytes]] = {}
        self._queries: dict[NodeId, KeyedQuery] = {}
        self._wrong_lines = wrong_lines(project)
        self._relations: dict[tuple[str, str], NodeId] | None = None
        self._exports: dict[tuple[str, ...], NodeColumns] = {}
        # Equal columns and origins are one object: to make one costs more than to find it.
        self._columns: dict[tuple[str, str | None, bool | None], Column] = {}

    def prepare(self, layer: Iterable[NodeId], analyse_all: AnalyseAll) -> None:
        """Have the queries of its models analysed; all that they read is known."""
        for node in layer:
            model = self.resolved.nodes[node]
            if isinstance(model, Model) and self._is_analysed(model):
                self._queries[node] = self._query_of(model, self.resolved.depends_on[node])
        self.analysis.prepare(self._queries.values(), analyse_all)

    def _relation(self, declaration: Model | Source | Seed | Loader) -> Relation | None:
        """Where it is built or read."""
        node = node_id(kind_of_declaration(declaration), name_of_declaration(declaration))
        return self.deferred.get(node) or relation_at(declaration, self.resolved, self.target)

    def of_source(self, source: Source) -> NodeColumns:
        relation = self._relation(source)
        # A loader casts what it loads, so nothing is left to cast when a managed source is read.
        casts = source.type_enforcement and not source.managed
        if source.has_other_columns and source.expression is None and self.dialect == "postgres":
            # It has no way to cast some columns and pass on others that nobody has named.
            casts = False
        typed = casts and any(column.type for column in source.columns)
        if relation is not None:
            return NodeColumns(
                columns=source.columns or None,
                complete=bool(source.columns) and not source.has_other_columns,
                relation=relation,
                sql=self._cast(quote_relation(relation), source.columns, source.columns) if typed else None,
                code=canonical_digest(str(relation)),
            )
        expression = source.expression or ""
        analysis = self.analysis.analyse(query_of_expression(expression), (), (), ())
        place = Place(source.place.path, source.expression_line)
        for finding in analysis.findings:
            # Columns of text in a YAML block cannot be told: its indentation is gone.
            problem = problem_at(dataclasses.replace(finding, column=None), source.name, place)
            self.problems.append(problem if finding.certain else dataclasses.replace(problem, severity="warning"))
        found = None if analysis.findings else analysis.columns
        if found is not None:
            self.problems.extend(
                missing_columns(source.columns, found, source.name, source.place, dialect=self.dialect)
            )
        columns = self._merged(found, source.columns)
        query = render_source_expression(expression)
        sql = self._cast(query, source.columns, columns or ()) if typed else expression
        return NodeColumns(
            columns=columns,
            complete=columns is not None and (found is not None or not source.has_other_columns),
            notes=() if columns is not None else analysis.notes,
            sql=sql,
            code=analysis.canonical_digest,
        )

    def _cast(self, query: str, declared: Sequence[Column], known: Sequence[Column]) -> str:
        """A query in which the columns with a declared type have it; in PostgreSQL those that are known and no others."""
        if self.dialect == "duckdb":
            return render_casts(query, declared)
        # Before version 16 a query in brackets needs an alias.
        return render_columns(f'{query} AS "_"' if query.startswith("(") else query, known)

    def of_seed(self, seed: Seed) -> NodeColumns:
        return NodeColumns(
            columns=seed.columns or None,
            complete=bool(seed.columns),
            relation=self._relation(seed),
            code=seed.content_digest,
        )

    def of_loader(self, loader: Loader) -> NodeColumns:
        return NodeColumns(
            columns=loader.columns or None,
            complete=bool(loader.columns),
            relation=self._relation(loader),
        )

    def of_model(self, node: NodeId, model: Model) -> NodeColumns:
        inputs = self.resolved.depends_on[node]
        rendered = self._rendered(model)
        relation = self._relation(model)
        if not self._is_analysed(model):
            note = "columns not checked: sql_analysis is off" if not model.sql_analysis else ""
            return NodeColumns(
                columns=model.columns or None,
                notes=(note,) if note else (),
                relation=relation,
                sql=rendered.sql,
                expansions=rendered.expansions,
                incremental_sql=rendered.incremental_sql,
                code=canonical_digest(model.sql),
            )
        analysis = self.analysis.of(self._queries.pop(node) if node in self._queries else self._query_of(model, inputs))
        for finding in analysis.findings:
            problem = problem_in_sql(finding, model)
            if not finding.certain:
                problem = dataclasses.replace(problem, help=f"{problem.help}; {NOT_UNDERSTOOD}")
            self.problems.append(problem)
        self._warn_of_named_tables(node, model, analysis)
        found = None if analysis.findings else analysis.columns
        mode = self.project.settings.run.column_contract_mode
        if not analysis.findings and model.place.path not in self._wrong_lines:
            self.problems.extend(contract_problems(model, found, mode=mode, dialect=self.dialect))
        columns = self._merged(found, model.columns)
        return NodeColumns(
            columns=columns,
            complete=found is not None,
            lineage=self._lineage(analysis, columns, inputs),
            notes=(*analysis.notes, *self._notes_on_types(model, found)),
            relation=relation,
            sql=rendered.sql,
            expansions=rendered.expansions,
            incremental_sql=rendered.incremental_sql,
            code=analysis.canonical_digest,
        )

    def of_export(self, node: NodeId, export: ExportedSql) -> NodeColumns:
        """Of an asset that exports one query; nothing where that cannot be told."""
        inputs = [upstream for upstream in self.resolved.depends_on[node] if kind_of(upstream) in _EXPORTED]
        named = {node_id(each.reference.kind, each.reference.name) for each in export.references}
        if not named.issubset(inputs):
            return NodeColumns()
        if not export.sql:
            (other,) = named
            known = self.known.get(other, NodeColumns())
            if not known.complete or known.columns is None:
                return NodeColumns()
            passed = {each.name: (ColumnReference(other, each.name, "direct"),) for each in known.columns}
            return NodeColumns(columns=known.columns, complete=True, lineage=passed)
        key = (export.sql, *inputs)
        if key not in self._exports:
            analysis = self.analysis.of(self._query_of(export, inputs))
            columns = None if analysis.findings else self._merged(analysis.columns, ())
            lineage = self._lineage(analysis, columns, inputs)
            self._exports[key] = NodeColumns(columns=columns, complete=columns is not None, lineage=lineage)
        return self._exports[key]

    def of_function(self, node: NodeId, function: Function) -> NodeColumns:
        inputs = self.resolved.depends_on[node]
        rendered = self._rendered(function)
        columns = declared_columns(function, self.dialect)
        known = NodeColumns(
            columns=columns or None,
            complete=function.is_table,
            relation=relation_of_function(function, self.target),
            sql=rendered.sql,
            expansions=rendered.expansions,
            code=canonical_digest(function.sql),
        )
        if not function.readable or self._is_broken(function):
            return known
        select, behind = ("", "") if is_query(function) else (SELECT, BEHIND)
        analysis = self.analysis.of(
            self._query_of(function, inputs, arguments_of(function, self.dialect), (select, behind))
        )
        for finding in analysis.findings:
            problem = problem_in_sql(moved_back(finding, select), function)
            severity = "error" if finding.certain else "warning"
            self.problems.append(dataclasses.replace(problem, severity=severity))
        if analysis.findings or analysis.columns is None:
            return dataclasses.replace(known, notes=analysis.notes)
        self.problems.extend(returned_problems(function, columns, analysis.columns, self.dialect))
        lineage = self._lineage(analysis, columns, inputs) if len(columns) == len(analysis.columns) else {}
        return dataclasses.replace(known, lineage=lineage, notes=analysis.notes)

    def of_audit(self, node: NodeId, audit: Audit) -> NodeColumns:
        """Only what was written for the project is looked into: what is built in is right, but for what it is given."""
        sql, around = audit_query(audit, self._readables_of(audit))
        is_own = bool(audit.sql_place.path) and audit.sql_analysis and not self._is_broken(audit)
        if audit.definition == "relationships" and not audit.sql_place.path and audit.sql_analysis:
            for finding in self.analysis.of(self._query_of(audit, self.resolved.depends_on[node])).findings:
                # The other column is that of the model, which is checked where it is declared.
                if finding.code == "UNKNOWN_COLUMN" and finding.certain and "in parent" in finding.message:
                    self.problems.append(problem_at(dataclasses.replace(finding, line=None), audit.name, audit.place))
        if not is_own:
            return NodeColumns(sql=sql, around_target=around, code=digest_of_audit(audit))
        analysis = self.analysis.of(self._query_of(audit, self.resolved.depends_on[node]))
        for finding in analysis.findings:
            there = dataclasses.replace(finding, line=None, column=None) if audit.has_macros else finding
            attached = f", attached at {audit.place}" if audit.target is not None else ""
            problem = problem_at(there, audit.name + attached, audit.sql_place)
            if not finding.certain:
                problem = dataclasses.replace(problem, help=f"{problem.help}; {AUDIT_NOT_UNDERSTOOD}")
            self.problems.append(problem)
        return NodeColumns(sql=sql, around_target=around, code=analysis.canonical_digest)

    def _notes_on_types(self, model: Model, found: Sequence[OutputColumn] | None) -> list[str]:
        if model.is_table or found is None or not model.columns:
            return []
        declared = {self._key(column.name): canonical_type(column.type, self.dialect) for column in model.columns}
        return [
            f"{column.name} is declared {wanted}, but the query gives {column.type} and a view is not cast"
            for column in found
            if column.type is not None
            and (wanted := declared.get(self._key(column.name))) is not None
            and wanted != column.type
        ]

    def _rendered(self, declared: Model | Function) -> RenderedQuery:
        readables = self._readables_of(declared)
        return rendered_query(declared, readables, self.dialect, self.resolved.nodes, self._known_columns)

    def _known_columns(self, node: NodeId) -> tuple[Column, ...]:
        known = self.known.get(node)
        return known.columns or () if known is not None else ()

    def _readables_of(self, reader: Model | Function | Audit) -> dict[Reference, Readable]:
        readables: dict[Reference, Readable] = {}
        for each in reader.references:
            upstream = node_id(each.reference.kind, each.reference.name)
            if upstream in self.resolved.nodes:
                readables[each.reference] = self._readable(upstream)[0]
        return readables

    def _query_of(
        self,
        declared: Model | Function | Audit | ExportedSql,
        inputs: Sequence[NodeId],
        arguments: QueryInput | None = None,
        around: tuple[str, str] = ("", ""),
    ) -> KeyedQuery:
        """Its SQL with something before and behind it."""
        before, behind = around
        places = {upstream: place for place, upstream in enumerate(inputs)}
        references = []
        by = len(before)
        for each in declared.references:
            place = places.get(node_id(each.reference.kind, each.reference.name))
            # What is unknown is a problem already; an input without columns keeps the rest of the query checked.
            references.append(InputReference(each.start + by, each.end + by, len(inputs) if place is None else place))
        known = [self._readable(upstream) for upstream in inputs]
        unknown = QueryInput(label="an unknown node", alias="")
        return self.analysis.keyed(
            f"{before}{declared.sql}{behind}" if before else declared.sql,
            references,
            [each[1] for each in known] + [unknown],
            [each[2] for each in known],
            arguments,
        )

    def _readable(self, node: NodeId) -> tuple[Readable, QueryInput, bytes]:
        """How other SQL reads a node, what it can know of its columns, and a digest of that."""
        found = self._readables.get(node)
        if found is not None:
            return found
        declaration = self.resolved.nodes[node]
        assert isinstance(declaration, Model | Source | Seed | Function)
        if isinstance(declaration, Function):
            named = relation_of_function(declaration, self.target)
            described = described_function(declaration, self.dialect)
            return Readable(alias="", relation=named), described, input_digest(described)
        relation = self._relation(declaration)
        # Only on a cycle is a node read before it is known.
        known = self.known.get(node, NodeColumns())
        alias = relation.name if relation is not None else declaration.name
        query = None
        if isinstance(declaration, Source) and known.sql is not None:
            query = render_source_expression(known.sql)
        columns = tuple((column.name, column.type) for column in known.columns or ())
        nullable = {column.name: column.nullable for column in known.columns or () if column.nullable is not None}
        described = QueryInput(
            label=declaration.name, alias=alias, columns=columns, complete=known.complete, nullable=nullable
        )
        found = (Readable(alias=alias, relation=relation, query=query), described, input_digest(described))
        if node in self.known:
            self._readables[node] = found
        return found

    def _merged(self, found: Sequence[OutputColumn] | None, declared: tuple[Column, ...]) -> tuple[Column, ...] | None:
        """Inferred columns with what is declared of them."""
        if found is None:
            return declared or None
        if not declared:
            return tuple([self._column(column) for column in found])
        by_key = {self._key(column.name): column for column in declared}
        merged: list[Column] = []
        for column in found:
            known = by_key.pop(self._key(column.name), None)
            if known is None:
                merged.append(self._column(column))
            else:
                nullable = column.nullable if known.nullable is None else known.nullable
                merged.append(dataclasses.replace(known, type=known.type or column.type, nullable=nullable))
        return tuple(merged)

    def _lineage(
        self, analysis: QueryAnalysis, columns: Sequence[Column] | None, inputs: Sequence[NodeId]
    ) -> Mapping[str, tuple[ColumnReference, ...]]:
        if analysis.columns is None or columns is None or analysis.findings:
            return {}
        pairs = list(zip(columns, analysis.columns, strict=True))
        return MadeWhenRead(
            lambda: {
                column.name: tuple(
                    [
                        ColumnReference(inputs[index], source, found.transform)
                        for index, source in found.sources
                        if index < len(inputs)
                    ]
                )
                for column, found in pairs
            }
        )

    def _column(self, found: OutputColumn) -> Column:
        key = (found.name, found.type, found.nullable)
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = Column(name=found.name, type=found.type, nullable=found.nullable)
        return column

    def _key(self, name: str) -> str:
        return name.lower() if self.dialect == "duckdb" else name

    def _is_analysed(self, model: Model) -> bool:
        return model.sql_analysis and not self._is_broken(model)

    def _is_broken(self, reader: Model | Function | Audit) -> bool:
        """Whether something was found wrong in its SQL when it was read: then that is said, and no more."""
        place = reader.sql_place if isinstance(reader, Audit) else place_of_sql(reader)
        return any(line is None or line >= (place.line or 1) for line in self._wrong_lines.get(place.path, ()))

    def _warn_of_named_tables(self, node: NodeId, model: Model, analysis: QueryAnalysis) -> None:
        for table in analysis.tables:
            other = self._by_relation().get(((table.schema or self.target.schema).lower(), table.name.lower()))
            if other is None or other == node or other not in self.resolved.nodes:
                continue
            shown = ".".join(part for part in (table.database, table.schema, table.name) if part)
            call = CALLS[kind_of(other).value]
            place = written_in_line(model.sql, place_of_sql(model), model.expansions, table.line, table.column).place
            self.problems.append(
                Problem(
                    code="NAMED_TABLE",
                    message=f"{model.name} reads {shown} by its name, so nothing makes it wait for {name_of(other)}",
                    help=f'write {call}("{name_of(other)}")',
                    path=place.path,
                    line=place.line,
                    column=place.column,
                    severity="warning",
                )
            )

    def _by_relation(self) -> Mapping[tuple[str, str], NodeId]:
        if self._relations is None:
            self._relations = {}
            for node, declaration in self.resolved.nodes.items():
                if not isinstance(declaration, Model | Source | Seed):
                    continue
                relation = relation_at(declaration, self.resolved, self.target)
                if relation is not None:
                    self._relations.setdefault((relation.schema.lower(), relation.name.lower()), node)
        return self._relations
