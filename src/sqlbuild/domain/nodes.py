"""What a project declares: models, sources and Python nodes, as found in its files."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Literal

from sqlbuild.domain.columns import Column
from sqlbuild.domain.csv_settings import CsvSettings
from sqlbuild.domain.freshness import Freshness
from sqlbuild.domain.hooks import ModelHook
from sqlbuild.domain.ids import NodeKind, Place
from sqlbuild.domain.incremental import CursorCall, Incremental
from sqlbuild.domain.record import SELDOM, record
from sqlbuild.domain.relation_options import Grants, Index
from sqlbuild.domain.source_map import Expansion
from sqlbuild.domain.sql_reference import SqlReference as SqlReference
from sqlbuild.domain.unit_tests import UnitTest as UnitTest
from sqlbuild.refs import Reference
from sqlbuild.retries import RetryPolicy

Requires = Literal["any", "all", "none_failed"]


class Materialization(enum.StrEnum):
    VIEW = "view"
    TABLE = "table"
    INCREMENTAL = "incremental"
    """A table that a build only adds to, or changes a part of."""


class WriteStrategy(enum.StrEnum):
    """What a loader's rows do to those that its table has already."""

    TABLE = "table"
    """They replace them all."""
    APPEND = "append"
    DELETE_INSERT = "delete_insert"
    """They replace those within the range of their cursor column."""
    MERGE = "merge"
    """They replace those with the same unique key."""


class Severity(enum.StrEnum):
    """What a failed check means for the run."""

    ERROR = "error"
    WARN = "warn"


class RunScope(enum.StrEnum):
    """What of an incremental model an audit looks at."""

    FINAL = "final"
    """The whole table."""
    DELTA_AND_FINAL = "delta_and_final"
    """What comes to it too."""


AuditValue = str | bool | int | float | None | Reference | tuple["AuditValue", ...]
"""What an audit is given for one of its parameters."""


@record(frozen=True, slots=True, kw_only=True)
class AuditUse:
    """One entry of `audits`, as it stands at a model, a source or a seed, or at one of its columns."""

    definition: str
    place: Place
    column: str | None = None
    arguments: Mapping[str, AuditValue] = dataclasses.field(default_factory=dict)
    name: str | None = None
    severity: Severity | None = None
    run_scope: RunScope | None = None
    description: str = ""
    meta: Mapping[str, object] = dataclasses.field(default_factory=dict)


@record(frozen=True, slots=True, kw_only=True)
class Model:
    """One `models/**/*.sql` file: its header's settings (defaults applied) and its query."""

    name: str
    place: Place
    sql: str
    """The query as written, without the header and the final semicolon, its macros expanded."""
    sql_line: int
    """Line of the file on which `sql` starts, from 1."""
    sql_column: int = 1
    references: tuple[SqlReference, ...] = ()
    passed: tuple[SqlReference, ...] = ()
    """References that macros were given, on which the model depends whatever they gave; their offsets mean nothing."""
    expansions: tuple[Expansion, ...] = ()
    """What of `sql` macros gave."""
    materialized: Materialization = Materialization.VIEW
    description: str = ""
    tags: tuple[str, ...] = ()
    group: str | None = None
    meta: Mapping[str, object] = dataclasses.field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    contract: str | None = None
    """`enforced`: `columns` are all that the query may give. `none`: they are a description. None: as the project says."""
    schema: str | None = None
    database: str | None = None
    alias: str | None = None
    retry: RetryPolicy | None = None
    timeout: float | None = None
    pools: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()
    grants: Grants = dataclasses.field(default_factory=dict)
    pre_hooks: tuple[ModelHook, ...] = ()
    """What runs before it is built, in this order."""
    post_hooks: tuple[ModelHook, ...] = ()
    sql_analysis: bool = True
    """False: the SQL is left to the warehouse; its syntax is not checked and its columns are not inferred."""
    audits: tuple[AuditUse, ...] = ()
    incremental: Incremental | None = None
    """Of a model that is materialized so."""
    cursor_calls: tuple[CursorCall, ...] = ()

    @property
    def is_table(self) -> bool:
        """Whether its relation is a table, in whatever way it is filled."""
        return self.materialized is not Materialization.VIEW


@record(frozen=True, slots=True, kw_only=True)
class Function:
    """One `functions/**/*.sql` file: a function that the warehouse keeps and SQL calls."""

    name: str
    place: Place
    sql: str
    """An expression, or the query of a table function, as written without the header, its macros expanded."""
    sql_line: int
    sql_column: int = 1
    references: tuple[SqlReference, ...] = ()
    passed: tuple[SqlReference, ...] = ()
    expansions: tuple[Expansion, ...] = ()
    arguments: tuple[Column, ...] = ()
    """All with a type."""
    returns: str | None = None
    """A type; None for a table function, which has `columns`."""
    columns: tuple[Column, ...] = ()
    description: str = ""
    tags: tuple[str, ...] = ()
    group: str | None = None
    meta: Mapping[str, object] = dataclasses.field(default_factory=dict)
    schema: str | None = None
    database: str | None = None
    retry: RetryPolicy | None = None
    timeout: float | None = None
    pools: tuple[str, ...] = ()
    readable: bool = True
    """False if its header or a macro in it could not be read: then nothing else is said of it."""

    @property
    def is_table(self) -> bool:
        return self.returns is None

    def written(self) -> str:
        """How it is called, for messages and people."""
        arguments = ", ".join(f"{each.name} {each.type}" for each in self.arguments)
        return f'{"__table_fn" if self.is_table else "__udf"}("{self.name}")({arguments})'


@record(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """How rows get into a table, as declared by `@loader` or in the source's YAML. What is None was not declared."""

    write_strategy: WriteStrategy | None = None
    cursor_column: str | None = None
    unique_key: tuple[str, ...] = ()
    contract: str | None = None
    """`enforced` or `none`."""
    batch_rows: int | None = None
    """At most as many rows go to the warehouse at once."""


@record(frozen=True, slots=True, kw_only=True)
class Source:
    """One entry of a `sources/*.yml` file: an existing table, or a SQL expression read in its place.

    A managed one is a table that the loader of the same name fills; only it has `load`.
    """

    name: str
    place: Place
    description: str = ""
    database: str | None = None
    schema: str | None = None
    table: str | None = None
    expression: str | None = None
    expression_line: int = 1
    columns: tuple[Column, ...] = ()
    tags: tuple[str, ...] = ()
    group: str | None = None
    meta: Mapping[str, object] = dataclasses.field(default_factory=dict)
    load: LoadSettings | None = None
    audits: tuple[AuditUse, ...] = ()
    freshness: Freshness | None = None
    """How it is noticed that there is new data; None: it is not looked for."""
    has_other_columns: bool = False
    """`contract: none`: `columns` are only some of those that are there."""
    type_enforcement: bool = True
    """Whether columns with a declared type are cast to it where the source is read."""

    @property
    def managed(self) -> bool:
        return self.load is not None


@record(frozen=True, slots=True, kw_only=True)
class Seed:
    """One `seeds/**/*.csv` file, as an entry of a `seeds/**/*.yml` file declares it."""

    name: str
    place: Place
    """Of its entry in the YAML file."""
    csv_path: str
    """Relative to the project root, with forward slashes."""
    content_digest: str
    """Of the bytes of the CSV file."""
    columns: tuple[Column, ...] = ()
    """In the order of the table; each has a type."""
    csv: CsvSettings = dataclasses.field(default_factory=CsvSettings)
    description: str = ""
    database: str | None = None
    schema: str | None = None
    tags: tuple[str, ...] = ()
    group: str | None = None
    meta: Mapping[str, object] = dataclasses.field(default_factory=dict)
    retry: RetryPolicy | None = None
    timeout: float | None = None
    pools: tuple[str, ...] = ()
    audits: tuple[AuditUse, ...] = ()


_NO_META: Mapping[str, object] = {}
"""One for all: there are thousands of Python nodes, and few have any."""


@record(frozen=True, slots=True, kw_only=True)
class PythonFunction:
    """What every Python node has in common; made by the decorators when the function is defined."""

    function: Callable[..., object]
    name: str
    is_async: bool
    place: Place
    """At import time the path is the file's absolute path; the project loader makes it relative."""
    depends_on: tuple[Reference | Callable[..., object], ...] = ()
    tags: tuple[str, ...] = dataclasses.field(default=(), metadata=SELDOM)
    group: str | None = dataclasses.field(default=None, metadata=SELDOM)
    description: str = ""
    meta: Mapping[str, object] = dataclasses.field(default=_NO_META, metadata=SELDOM)
    retry: RetryPolicy | None = dataclasses.field(default=None, metadata=SELDOM)
    timeout: float | None = dataclasses.field(default=None, metadata=SELDOM)
    """Seconds for one attempt."""
    pools: tuple[str, ...] = dataclasses.field(default=(), metadata=SELDOM)
    requires: Requires = dataclasses.field(default="any", metadata=SELDOM)
    providers: tuple[str, ...] = dataclasses.field(default=(), metadata=SELDOM)
    """Parameters after the context that have no default: each is given the provider of that name."""
    isolated: bool = dataclasses.field(default=False, metadata=SELDOM)
    """It runs in a process of its own (`isolate="process"`)."""
    dry_run: bool = dataclasses.field(default=False, metadata=SELDOM)
    """It honours `ctx.dry_run`, so that `--dry-run` may call it."""
    takes_context: bool = dataclasses.field(default=True, metadata=SELDOM)
    """It is called with its context."""


@record(frozen=True, slots=True, kw_only=True)
class Task:
    declared: PythonFunction


@record(frozen=True, slots=True, kw_only=True)
class Asset:
    declared: PythonFunction
    columns: tuple[Column, ...] = ()
    column_lineage: Mapping[str, tuple[tuple[str, str], ...]] = dataclasses.field(default_factory=dict)
    """Asset column -> (node name, column) pairs, as declared."""


@record(frozen=True, slots=True, kw_only=True)
class Loader:
    """Fills the managed source of the same name, or a table of its own. What is None was not declared."""

    declared: PythonFunction
    write_strategy: WriteStrategy | None = None
    cursor_column: str | None = None
    unique_key: tuple[str, ...] = ()
    destination: str | None = None
    contract: str | None = None
    columns: tuple[Column, ...] = ()
    batch_rows: int | None = None


@record(frozen=True, slots=True, kw_only=True)
class Check:
    declared: PythonFunction
    severity: Severity = Severity.ERROR


@record(frozen=True, slots=True, kw_only=True)
class Audit:
    """A query for rows that must not be: one audit of a model, source or seed, or a singular one of its own file."""

    name: str
    """Of the node: `orders.not_null(order_id)`, `orders.revenue_is_positive`, or the name of a singular one."""
    place: Place
    """Where it is attached, or its own file."""
    definition: str
    """What it is made of, for example `not_null`."""
    sql: str
    """Its query, with what it was given in place of its parameters."""
    sql_place: Place
    """Where the query begins; without a path it is built in."""
    references: tuple[SqlReference, ...] = ()
    passed: tuple[SqlReference, ...] = ()
    """References that its macros were given; it depends on these."""
    has_macros: bool = False
    """Lines of `sql` are not those of its file."""
    target: Reference | None = None
    """What it is attached to; among `references` it means what that has staged, where it has."""
    column: str | None = None
    severity: Severity = Severity.ERROR
    run_scope: RunScope = RunScope.DELTA_AND_FINAL
    description: str = ""
    tags: tuple[str, ...] = ()
    group: str | None = None
    meta: Mapping[str, object] = dataclasses.field(default_factory=dict)
    retry: RetryPolicy | None = None
    timeout: float | None = None
    pools: tuple[str, ...] = ()
    sql_analysis: bool = True

    @property
    def short_name(self) -> str:
        """Without the name of what it is attached to."""
        return self.name if self.target is None else self.name.removeprefix(f"{self.target.name}.")


PythonNode = Task | Asset | Loader | Check
Declaration = Model | Source | Seed | Function | UnitTest | Audit | Task | Asset | Loader | Check


def kind_of_declaration(declaration: Declaration) -> NodeKind:
    match declaration:
        case Model():
            return NodeKind.MODEL
        case Source():
            return NodeKind.SOURCE
        case Seed():
            return NodeKind.SEED
        case Function():
            return NodeKind.FUNCTION
        case Audit():
            return NodeKind.AUDIT
        case Task():
            return NodeKind.TASK
        case Asset():
            return NodeKind.ASSET
        case Loader():
            return NodeKind.LOADER
        case Check():
            return NodeKind.CHECK
        case UnitTest():
            return NodeKind.TEST


def name_of_declaration(declaration: Declaration) -> str:
    return (
        declaration.name
        if isinstance(declaration, Model | Source | Seed | Function | UnitTest | Audit)
        else declaration.declared.name
    )


def place_of_declaration(declaration: Declaration) -> Place:
    return (
        declaration.place
        if isinstance(declaration, Model | Source | Seed | Function | UnitTest | Audit)
        else declaration.declared.place
    )
