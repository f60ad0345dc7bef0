"""The settings of a project, after local overrides, environment and command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sqlbuild.domain.incremental import BatchLimit
from sqlbuild.domain.nodes import RunScope, Severity
from sqlbuild.domain.record import record


@record(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach a warehouse. For DuckDB `options["database"]` is a path (absolute after loading) or `:memory:`."""

    name: str
    adapter: str
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)


@record(frozen=True, slots=True, kw_only=True)
class Target:
    """A named place to build into."""

    name: str
    connection: Connection
    schema: str
    database: str = ""
    vars: Mapping[str, object] = dataclasses.field(default_factory=dict)


@record(frozen=True, slots=True, kw_only=True)
class Pool:
    """A named limit. `rate` is tokens a second; `burst` how many may be taken at once after a pause."""

    name: str = ""
    slots: int
    rate: float | None = None
    burst: int = 1


@record(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """The `[settings]` table."""

    concurrency: int = 64
    threads: int = 16
    connections: int = 4
    blocked_loop_seconds: float = 0.25
    fsync: bool = False
    keep_runs: int = 50
    max_payload_bytes: int = 1_048_576
    secret_env: tuple[str, ...] = ()
    export_paths: tuple[str, ...] = ()
    """Folders that `ctx.export` may write into besides the project's own; relative ones are relative to that."""
    column_contract_mode: str = "implicit"
    """`implicit`: the columns that a model declares must be in its query. `explicit`: only with `contract enforced`."""
    auto_load_sources: bool = True
    """Whether `sqb build` runs loaders if neither --load nor --no-load is given."""
    unit_test_max_real_models: int = 10
    """Of so many models one unit test may run the real SQL."""
    test_timeout: float | None = 30.0
    """Seconds for one attempt of a unit test that says nothing else; None for no limit."""
    default_audit_severity: Severity = Severity.ERROR
    default_audit_run_scope: RunScope = RunScope.DELTA_AND_FINAL


@record(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything `sqlbuild_project.toml` and `sqlbuild_local.toml` say."""

    name: str
    target: Target
    targets: Mapping[str, Target]
    run: RunSettings = RunSettings()
    batch_limit: BatchLimit | None = None
    """Of each microbatch model, before its own."""
    pools: Mapping[str, Pool] = dataclasses.field(default_factory=dict)
    """In the order of the file: a block inside a held pool must name a later one."""
    defaults: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """Model header keys of `[defaults]`, and where seeds and functions are, as plain values."""
    path_defaults: Mapping[str, Mapping[str, object]] = dataclasses.field(default_factory=dict)
    """Folder under models/ (with or without `models/` in front) -> model header keys."""
    vars: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """Project vars, then the target's, then `--vars`, merged."""
    secrets: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    """Values that must never be shown."""
