"""Projects as literals."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sqlbuild.authoring.declare import declaration_of
from sqlbuild.compiler.compile_project import compile_project
from sqlbuild.domain.columns import Column
from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import Place, node_id
from sqlbuild.domain.nodes import Audit, Declaration, Model, Seed, Source, UnitTest, kind_of_declaration
from sqlbuild.domain.project import CodeFacts, Project
from sqlbuild.domain.settings import Connection, Pool, Settings, Target
from sqlbuild.domain.sql_reference import SqlReference
from sqlbuild.errors import Problem, ProjectError
from sqlbuild.refs import Reference
from sqlbuild.state.analysis_cache import InMemoryAnalysisCache

_CALL = re.compile(r'__(ref|source|seed)\("([^"]+)"\)')
_KINDS: dict[str, Any] = {"ref": "model", "source": "source", "seed": "seed"}


def make_model(name: str, sql: str = "SELECT 1 AS one", **fields: Any) -> Model:
    """A model in `models/<name>.sql` whose query begins on line 5."""
    path = f"models/{name}.sql"
    references = []
    for found in _CALL.finditer(sql):
        line = 5 + sql.count("\n", 0, found.start())
        column = found.start() - sql.rfind("\n", 0, found.start())
        references.append(
            SqlReference(
                reference=Reference(_KINDS[found[1]], found[2]),
                start=found.start(),
                end=found.end(),
                place=Place(path, line, column),
            )
        )
    return Model(name=name, place=Place(path, 1, 1), sql=sql, sql_line=5, references=tuple(references), **fields)


def make_audit(name: str, sql: str, target: str | None = None, **fields: Any) -> Audit:
    """An audit in `audits/singular/` or, of `kind:name`, at a place of that, whose query begins on line 5."""
    place = Place("models/somewhere.sql", 3, 7) if target else Place(f"audits/singular/{name}.sql", 1, 1)
    query = make_model(name, sql)
    return Audit(
        name=name,
        place=place,
        definition=name,
        sql=sql,
        sql_place=Place("audits/generic/a.sql", 5, 1),
        references=query.references,
        target=Reference(*target.split(":")) if target else None,  # type: ignore[arg-type]
        **fields,
    )


def make_source(name: str, **fields: Any) -> Source:
    return Source(name=name, place=Place("sources/raw.yml", 2, 5), **fields)


def make_seed(name: str, columns: Sequence[Column] = (Column(name="code", type="VARCHAR"),), **fields: Any) -> Seed:
    given = {"csv_path": f"seeds/{name}.csv", "content_digest": "0a", **fields}
    return Seed(name=name, place=Place("seeds/all.yml", 2, 5), columns=tuple(columns), **given)


def make_settings(*, adapter: str = "duckdb", pools: Sequence[str] = (), schema: str = "dev") -> Settings:
    connection = Connection(name="local", adapter=adapter)
    target = Target(name="dev", connection=connection, schema=schema)
    named = {pool: Pool(name=pool, slots=1) for pool in pools}
    return Settings(name="shop", target=target, targets={"dev": target}, pools=named)


def make_project(
    *items: Declaration | Callable[..., object],
    settings: Settings | None = None,
    problems: Sequence[Problem] = (),
    code: dict[str, CodeFacts] | None = None,
) -> Project:
    """A project of models, sources and decorated functions; each function's code is told by its name."""
    declarations: list[Declaration] = []
    facts: dict[str, CodeFacts] = {}
    for line, item in enumerate(items, 1):
        declaration = item if isinstance(item, Model | Source | Seed | UnitTest | Audit) else _placed(item, line)
        declarations.append(declaration)
        if not isinstance(declaration, Model | Source | Seed | UnitTest | Audit):
            found = node_id(kind_of_declaration(declaration), declaration.declared.name)
            facts[found] = CodeFacts(source_digest=f"code of {found}")
    return Project(
        root="/shop",
        settings=settings or make_settings(),
        declarations=tuple(declarations),
        code=facts | (code or {}),
        problems=tuple(problems),
    )


def _placed(item: object, line: int) -> Declaration:
    declaration = declaration_of(item) if callable(item) else item
    assert not isinstance(declaration, Model | Source | UnitTest | None)
    declared = dataclasses.replace(declaration.declared, place=Place("tasks/jobs.py", line))
    return dataclasses.replace(declaration, declared=declared)


def problems_of(project: Project) -> tuple[Problem, ...]:
    try:
        compile_project(project, InMemoryAnalysisCache())
    except ProjectError as error:
        return error.problems
    return ()


def compiled(project: Project) -> Graph:
    return compile_project(project, InMemoryAnalysisCache())


class Compiling:
    """What tests need to make projects and compile them."""

    model = staticmethod(make_model)
    source = staticmethod(make_source)
    seed = staticmethod(make_seed)
    audit = staticmethod(make_audit)
    settings = staticmethod(make_settings)
    project = staticmethod(make_project)
    problems = staticmethod(problems_of)
    graph = staticmethod(compiled)


@pytest.fixture(scope="session")
def make() -> type[Compiling]:
    return Compiling
