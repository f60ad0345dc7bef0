"""Shared clients of a project's nodes. What they are made with (pydantic) is not known here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sqlbuild.domain.record import record


@record(frozen=True, slots=True, kw_only=True)
class ProviderContext:
    """What `setup(ctx)` of a provider receives."""

    run_id: str
    target: str
    vars: Mapping[str, Any]
    """The project's vars, with the target's and the command line's over them."""


class ProviderSet(Protocol):
    """The providers of a project, by name; their instances, one each, are those of one run."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def make(self, name: str) -> Any:
        """The instance, its fields read from the environment. Raises ProviderError."""
