"""Phase 5: Plan -> RunResult.

`runner.isolated` is loaded when it is first asked for: few projects have worker processes.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlbuild.runner import isolated as isolated
else:
    _LOADED_WHEN_ASKED_FOR = frozenset({"isolated"})

    def __getattr__(name: str) -> object:
        if name not in _LOADED_WHEN_ASKED_FOR:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return importlib.import_module(f"{__name__}.{name}")
