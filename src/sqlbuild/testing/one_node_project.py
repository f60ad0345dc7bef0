"""The smallest project that has a node: its declaration, what it depends on as stubs, and settings."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection, Iterator, Mapping

from sqlbuild.app.options import Compiled
from sqlbuild.authoring.declare import declaration_of
from sqlbuild.authoring.functions import signature_problems
from sqlbuild.compiler.compile_project import compile_project
from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import NodeId, Place, node_id
from sqlbuild.domain.nodes import (
    Asset,
    Declaration,
    Loader,
    LoadSettings,
    Materialization,
    Model,
    PythonFunction,
    PythonNode,
    Seed,
    Source,
    kind_of_declaration,
)
from sqlbuild.domain.project import Project
from sqlbuild.domain.settings import Pool, Settings, Target
from sqlbuild.errors import Problem, ProjectError
from sqlbuild.project.field_reader import FieldReader
from sqlbuild.project.located import Located
from sqlbuild.project.read_limits import read_pool
from sqlbuild.project.text_file import TextFile
from sqlbuild.refs import Reference
from sqlbuild.testing.in_memory import SETTINGS

TARGET = "test"
SCHEMA = "main"


def declaration_to_test(function: Callable[..., object]) -> PythonNode:
    """The declaration of a decorated function. Raises TypeError for any other."""
    declaration = declaration_of(function)
    if declaration is None:
        name = getattr(function, "__name__", repr(function))
        raise TypeError(f"{name} is not a node: give a function with one of sqlbuild's decorators")
    return declaration


def id_of(declaration: Declaration) -> NodeId:
    assert isinstance(declaration, PythonNode)
    return node_id(kind_of_declaration(declaration), declaration.declared.name)


def compile_one_node(
    node: PythonNode,
    *,
    vars: Mapping[str, object],
    pools: Mapping[str, int | Pool],
    providers: Collection[str],
    retry: bool,
) -> Compiled:
    """`providers` are names. Raises ProjectError for what `sqb compile` would refuse in this node and in `pools`."""
    declarations: list[Declaration] = [_alone(node, retry=retry), *_stubs(node)]
    target = Target(name=TARGET, connection=SETTINGS, schema=SCHEMA)
    settings = Settings(
        name="test",
        target=target,
        targets={TARGET: target},
        pools=_pools(node, pools),
        vars=dict(vars),
    )
    project = Project(
        root=os.getcwd(),
        settings=settings,
        declarations=tuple(declarations),
        problems=tuple(signature_problems(node.declared, kind_of_declaration(node), providers)),
    )
    return Compiled(project=project, graph=compile_project(project, _NothingKept()))


def _alone(node: PythonNode, *, retry: bool) -> PythonNode:
    """The node as it runs in a test: in this process, once unless retries are tested, lineage into nowhere left out."""
    alone = dataclasses.replace(node.declared, isolated=False, retry=node.declared.retry if retry else None)
    return _declared(node, alone)


def _declared(node: PythonNode, declared: PythonFunction) -> PythonNode:
    if isinstance(node, Asset):
        return dataclasses.replace(node, declared=declared, column_lineage={})
    return dataclasses.replace(node, declared=declared)


def _stubs(node: PythonNode) -> Iterator[Declaration]:
    if isinstance(node, Loader):
        name = node.declared.name
        yield Source(name=name, place=Place(f"sources/{name}"), load=LoadSettings())
    for upstream in node.declared.depends_on:
        if isinstance(upstream, Reference):
            yield from _relation(upstream)
            continue
        declaration = declaration_of(upstream)
        if declaration is not None:
            needless = dataclasses.replace(declaration.declared, depends_on=(), pools=(), providers=())
            yield _declared(declaration, needless)


def _relation(reference: Reference) -> Iterator[Declaration]:
    place = Place(f"{reference.kind}s/{reference.name}")
    match reference.kind:
        case "model":
            yield Model(
                name=reference.name,
                place=place,
                sql="SELECT 1",
                sql_line=1,
                materialized=Materialization.TABLE,
                sql_analysis=False,
            )
        case "source":
            yield Source(name=reference.name, place=place, table=reference.name)
        case "seed":
            column = Column(name="id", type="INTEGER")
            yield Seed(name=reference.name, place=place, csv_path="", content_digest="", columns=(column,))


def _pools(node: PythonNode, given: Mapping[str, int | Pool]) -> dict[str, Pool]:
    """Those that are given, and of one slot those that only the node names. Raises ProjectError."""
    problems: list[Problem] = []
    pools = {name: _given_pool(name, pool, problems) for name, pool in given.items()}
    if problems:
        raise ProjectError(problems)
    return pools | {name: Pool(name=name, slots=1) for name in node.declared.pools if name not in pools}


def _given_pool(name: str, given: object, problems: list[Problem]) -> Pool:
    """What is wrong with it is told as it would be of `[pools.NAME]` in the settings."""
    fields: dict[str, object] = {"slots": given}
    if isinstance(given, Pool):
        fields = {"slots": given.slots, "rate": given.rate, "burst": None if given.burst == 1 else given.burst}
        if given.name not in ("", name):
            message = f'`pools["{name}"]` is a Pool of another name: {given.name!r}'
            problems.append(Problem(code="BAD_VALUE", message=message, help="leave its `name` out"))
    nowhere = TextFile("", "")
    entries = {key: Located(value, nowhere) for key, value in fields.items() if value is not None}
    return read_pool(name, FieldReader(Located(entries, nowhere), f"pools.{name}", problems))


class _NothingKept:
    """`sqlbuild.interfaces.analysis_cache.AnalysisCache` that forgets."""

    def load(self, key: str) -> str | None:
        return None

    def store(self, key: str, value: str) -> None:
        """Not kept: there is nothing to analyse twice."""

    def flush(self) -> None:
        """Nothing was kept."""
