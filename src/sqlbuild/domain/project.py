"""A project as read from disk, before anything in it is resolved."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sqlbuild.domain.ids import Place
from sqlbuild.domain.nodes import Declaration, PythonFunction
from sqlbuild.domain.providers import ProviderDeclaration
from sqlbuild.domain.record import record
from sqlbuild.domain.settings import Settings
from sqlbuild.domain.sql_reference import SqlReference
from sqlbuild.errors import Problem


@record(frozen=True, slots=True, kw_only=True)
class NamedTable:
    """A table that SQL in Python code names itself: `parts` of its name without quotes, in lower case where they had none."""

    parts: tuple[str, ...]
    written: str
    place: Place
    is_read: bool
    """Else it is written to."""


@record(frozen=True, slots=True, kw_only=True)
class ExportedSql:
    """What an asset exports: a query with `__ref("x")` in it, or without `sql` all of the one reference."""

    sql: str = ""
    references: tuple[SqlReference, ...] = ()


@record(frozen=True, slots=True, kw_only=True)
class CodeFacts:
    """What a Python node's fingerprint is made of, besides its declaration and its upstreams.

    `source_digest` covers the function and the project functions it calls; `values` its defaults, closure values and
    the module constants it reads, as canonical JSON by name; `not_tracked` says in words what could not be followed.
    """

    source_digest: str
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    not_tracked: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    """Names of providers that it may use as `ctx.providers.name`."""
    reads_vars: bool = False
    """Something in it is called `vars`, as in `ctx.vars["day"]`: then all vars of the project count."""
    tables: tuple[NamedTable, ...] = ()
    """Of an SQL text in the code. Not part of the fingerprint, nor is `export`: `source_digest` covers them."""
    export: ExportedSql | None = None
    """If all that an asset does in the warehouse is one export."""


@record(frozen=True, slots=True, kw_only=True)
class Project:
    root: str
    settings: Settings
    declarations: tuple[Declaration, ...]
    code: Mapping[str, CodeFacts] = dataclasses.field(default_factory=dict)
    """Node id -> facts, for Python nodes."""
    providers: tuple[ProviderDeclaration, ...] = ()
    hooks: Mapping[str, PythonFunction] = dataclasses.field(default_factory=dict)
    """By name; their code facts stand in `code` under `hook:name`."""
    problems: tuple[Problem, ...] = ()
    """Everything found wrong while reading; the compiler adds its own and reports them together."""
