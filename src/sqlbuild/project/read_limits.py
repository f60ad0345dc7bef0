"""The `[settings]`, `[pools.*]` and `[microbatches.limits]` tables: how much may run."""

from __future__ import annotations

import dataclasses
from typing import Any

from sqlbuild.domain.incremental import BatchLimit
from sqlbuild.domain.nodes import RunScope, Severity
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.settings import Pool, RunSettings
from sqlbuild.project.field_reader import FieldReader, is_finite
from sqlbuild.project.incremental_fields import read_batch_limit
from sqlbuild.project.known_keys import IGNORED_RUN_KEYS, POOL_KEYS, RUN_KEYS
from sqlbuild.project.located import Located, describe
from sqlbuild.project.model_fields import DISABLED, read_duration
from sqlbuild.project.placeholders import Placeholders
from sqlbuild.project.read_audits import read_option

_WHOLE_NUMBERS = (
    "concurrency",
    "threads",
    "connections",
    "keep_runs",
    "max_payload_bytes",
    "unit_test_max_real_models",
)
_RATE = pattern(r"\s*(\d+(?:\.\d+)?)\s*/\s*(s|min|h)\s*")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def read_run_settings(top: FieldReader, target: FieldReader, placeholders: Placeholders) -> RunSettings:
    """`target` is the chosen target's table: its `concurrency` replaces the common one."""
    reader = top.table("settings") or FieldReader(Located({}, top.located.file), "settings", top.problems)
    reader.refuse_unknown(RUN_KEYS, IGNORED_RUN_KEYS)
    written: dict[str, Any] = {key: reader.whole_number(key, minimum=1) for key in _WHOLE_NUMBERS}
    written["blocked_loop_seconds"] = reader.number("blocked_loop_seconds", above=0.0)
    written["fsync"] = reader.boolean("fsync")
    written["auto_load_sources"] = reader.boolean("auto_load_sources")
    written["column_contract_mode"] = reader.choice("column_contract_mode", ("implicit", "explicit"))
    written["test_timeout"] = read_duration(reader, "test_timeout")
    written["default_audit_severity"] = read_option(reader, "default_audit_severity", Severity)
    written["default_audit_run_scope"] = read_option(reader, "default_audit_run_scope", RunScope)
    written["export_paths"] = reader.texts("export_paths")
    written["secret_env"] = reader.texts("secret_env")
    for name in written["secret_env"] or ():
        placeholders.hide_variable(name, reader.entries["secret_env"])
    if (limit := target.whole_number("concurrency", minimum=1)) is not None:
        written["concurrency"] = limit
    settings = RunSettings(**{key: value for key, value in written.items() if value is not None})
    disabled = reader.entries.get("test_timeout")
    if disabled is not None and disabled.value == DISABLED:
        settings = dataclasses.replace(settings, test_timeout=None)
    return settings


def read_limit_of_batches(top: FieldReader) -> BatchLimit | None:
    """`[microbatches.limits]`. It never leaves a part of the work out: that is for a model to say."""
    table = top.table("microbatches")
    if table is None:
        return None
    table.refuse_unknown(frozenset({"limits"}))
    return read_batch_limit(table, "limits", ("error", "warn"), "max_batches = 100")


def read_pools(top: FieldReader) -> dict[str, Pool]:
    """In the order of the file."""
    table = top.table("pools")
    return {name: read_pool(name, reader) for name, reader in (table.tables() if table else {}).items()}


def read_pool(name: str, reader: FieldReader) -> Pool:
    """`[pools.NAME]`."""
    reader.refuse_unknown(POOL_KEYS)
    reader.require("slots", "write slots = 8: how many nodes may hold the pool at once")
    burst = reader.whole_number("burst", minimum=1)
    if burst is not None and "rate" not in reader.entries:
        reader.refuse("burst", f"`{reader.name_of('burst')}` needs a rate", 'write rate = "50/s" beside it')
    return Pool(name=name, slots=reader.whole_number("slots", minimum=1) or 1, rate=_rate(reader), burst=burst or 1)


def _rate(reader: FieldReader) -> float | None:
    """Tokens a second, from a number or from text like `50/s`, `100/min`, `1000/h`."""
    entry = reader.entries.get("rate")
    if entry is None:
        return None
    rate = entry.value
    if isinstance(rate, str) and (found := _RATE.fullmatch(rate)):
        rate = float(found.group(1)) / _SECONDS[found.group(2)]
    if isinstance(rate, int | float) and not isinstance(rate, bool) and is_finite(rate) and rate > 0:
        return float(rate)
    reader.refuse(
        "rate",
        f"`{reader.name_of('rate')}` must be a number above 0 or text like 50/s, not {describe(entry.value)}",
        'write rate = "50/s", "100/min" or "1000/h"; a bare number counts for each second',
    )
    return None
