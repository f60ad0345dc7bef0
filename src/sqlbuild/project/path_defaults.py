"""Which entry of `[path_defaults.*]` belongs to a model."""

from __future__ import annotations

import re
from collections.abc import Iterable


def folder_of_key(key: str) -> str:
    """The folder below models/ that a key means: `models/staging/` and `staging` are the same."""
    folder = key.strip("/")
    return "" if folder == "models" else folder.removeprefix("models/")


def matching_keys(folder: str, keys: Iterable[str]) -> list[str]:
    """The keys that fit a model in `folder` (below models/) best: none, one, or several that fit equally well.

    A key without wildcards comes before all with wildcards, then the deeper one. Of those with wildcards the one with
    more literal folder names wins, then with more `*`, then with fewer `**`.
    """
    best: list[str] = []
    best_rank: tuple[int, ...] = ()
    for key in keys:
        parts = [part for part in folder_of_key(key).split("/") if part]
        if not _pattern(parts).match(f"{folder}/" if folder else ""):
            continue
        wild = sum("*" in part for part in parts)
        double = sum(part == "**" for part in parts)
        rank = (int(not wild), len(parts) - wild, wild - double, -double)
        if rank > best_rank or not best:
            best, best_rank = [key], rank
        elif rank == best_rank:
            best.append(key)
    return best


def _pattern(parts: Iterable[str]) -> re.Pattern[str]:
    """A `*` stands for one folder name or a part of it, `**` for any number of folders."""
    pieces = ("(?:[^/]+/)*" if part == "**" else "[^/]*".join(map(re.escape, part.split("*"))) + "/" for part in parts)
    return re.compile("".join(pieces))
