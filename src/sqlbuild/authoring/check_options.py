"""What `@check` takes beside what every decorator takes: types for checkers, readers for run time."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

from sqlbuild.authoring.findings import Finding, Findings
from sqlbuild.authoring.options import Upstream
from sqlbuild.authoring.read_options import Reader, shown
from sqlbuild.domain.nodes import Severity
from sqlbuild.domain.results import CheckResult, Skip

Found = bool | CheckResult | Skip
CheckFunction = Callable[..., Found] | Callable[..., Awaitable[Found]]


class CheckOptions(TypedDict, total=False):
    """Parameters of `@check`. None means the same as leaving the parameter out."""

    depends_on: Required[Upstream | Sequence[Upstream]]
    severity: Literal["error", "warn"] | Severity | None
    name: str | None
    tags: list[str] | tuple[str, ...] | None
    group: str | None
    description: str | None
    meta: Mapping[str, Any] | None
    timeout: float | datetime.timedelta | None
    """Seconds for one attempt; for an `async def`, and for a `def` with `isolate="process"`."""
    isolate: Literal["process"] | None
    """`def` only: it runs in a worker process of its own."""
    pool: str | list[str] | tuple[str, ...] | None
    dry_run: bool | None
    """The function honours `ctx.dry_run`, so that `--dry-run` may call it."""


def read_severity(value: object, findings: Findings) -> Severity | None:
    if isinstance(value, str) and value in tuple(Severity):
        return Severity(value)
    findings.append(Finding(f"severity: unknown value {shown(value)}", 'give "error" (the default) or "warn"'))
    return None


def without_dependencies(options: Mapping[str, object]) -> Finding | None:
    """What is wrong with a check that does not say what it checks."""
    given = options.get("depends_on")
    if given is not None and not (isinstance(given, list | tuple) and not given):
        return None
    return Finding(
        "depends_on: a check must say what it checks",
        'for example @check(depends_on=model("fact_orders"))',
    )


CHECK_READERS: Mapping[str, Reader] = {"severity": read_severity}
NOT_FOR_CHECKS = frozenset({"retry", "requires"})
