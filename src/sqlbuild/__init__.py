"""sqlbuild runs a data project's SQL models and Python assets, sync and async, as one graph.

From Python: `sqlbuild.build(project_dir, ...)`, and `await sqlbuild.abuild(...)` on an event loop or in a notebook.
"""

from __future__ import annotations

# Not from typing, which takes a third of the time of `sqb --version`; type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlbuild.app.from_python import abuild, build

__version__ = "0.1.0"

__all__ = ["__version__", "abuild", "build"]


if not TYPE_CHECKING:
    # Hidden from type checkers, which know the names above and should report every other.

    def __getattr__(name: str) -> object:
        if name not in ("abuild", "build"):
            raise AttributeError(f"module 'sqlbuild' has no attribute {name!r}")
        from sqlbuild.app import from_python

        return getattr(from_python, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "annotations"})
