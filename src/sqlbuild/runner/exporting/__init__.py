"""`ctx.export`: files that appear whole or not at all.

`exporting.node_exports` is loaded when it is first asked for, by a run that has nodes which may export.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlbuild.runner.exporting import node_exports as node_exports
else:
    _LOADED_WHEN_ASKED_FOR = frozenset({"node_exports"})

    def __getattr__(name: str) -> object:
        if name not in _LOADED_WHEN_ASKED_FOR:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return importlib.import_module(f"{__name__}.{name}")
