"""Proposals for names that do not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_PROPOSALS = 100


class NearestName:
    """Proposes the name nearest to a wrong one; the first hundred times, because a search looks at every name."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(dict.fromkeys(names))
        self._left = MAX_PROPOSALS

    def help(self, name: str, otherwise: str) -> str:
        """`did you mean "x"?`, or `otherwise` if nothing is near."""
        if self._left <= 0:
            return otherwise
        self._left -= 1
        near = difflib.get_close_matches(name, self._names, n=1, cutoff=0.6)
        return f'did you mean "{near[0]}"?' if near else otherwise
