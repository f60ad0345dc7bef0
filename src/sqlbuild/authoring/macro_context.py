"""What a macro is told about the project it expands SQL for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlbuild.domain.record import record


@record(frozen=True, slots=True, kw_only=True)
class MacroContext:
    """Given to a macro whose first parameter is called `ctx`."""

    adapter_name: str
    """`duckdb` or `postgres`."""
    target: str
    """The name of the chosen target."""
    vars: Mapping[str, Any]
    """Those of the project, with the target's and the command line's over them."""
    sql_analysis_enabled: bool = True

    @property
    def target_name(self) -> str:
        """The same as `target`."""
        return self.target
