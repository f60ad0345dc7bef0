"""How each kind of node does its work, one file a kind.

As `kinds.seed` and so on, kinds that many projects lack are loaded when the first node of them runs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlbuild.runner.kinds import incremental_model as incremental_model
    from sqlbuild.runner.kinds import loader as loader
    from sqlbuild.runner.kinds import seed as seed
    from sqlbuild.runner.kinds import sql_function as sql_function
    from sqlbuild.runner.kinds import unit_test as unit_test
else:
    _LOADED_WHEN_ASKED_FOR = frozenset({"incremental_model", "loader", "seed", "sql_function", "unit_test"})

    def __getattr__(name: str) -> object:
        if name not in _LOADED_WHEN_ASKED_FOR:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return importlib.import_module(f"{__name__}.{name}")
