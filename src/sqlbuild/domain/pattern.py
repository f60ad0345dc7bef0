"""Regular expressions that are compiled when they are first used.

The modules that a build loads have some 130 of them, and compiling them is a twentieth of what `sqb build` of a small
project costs; a command uses few of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Type checkers know what this one means.
    from re import compile as pattern
else:

    def pattern(text: str, flags: int = 0) -> Pattern:
        """As `re.compile`, but an error in `text` shows when the pattern is first used."""
        return Pattern(text, flags)


__all__ = ["Pattern", "pattern"]

_METHODS = ("findall", "finditer", "fullmatch", "match", "search", "split", "sub", "subn")


class Pattern:
    """Stands for a `re.Pattern`, whose methods it has."""

    def __init__(self, text: str, flags: int) -> None:
        self.pattern = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        compiled = re.compile(self.pattern, self._flags)
        # The next time they are found without coming here.
        vars(self).update((method, getattr(compiled, method)) for method in _METHODS)
        return getattr(compiled, name)
