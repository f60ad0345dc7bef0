"""Where files of hooks stand, and which models may call what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlbuild.errors import Problem
from sqlbuild.project.find_files import walk_files

FOLDER = "hooks"


def hook_files(root: str, language: str, suffix: str, folders: Iterable[str], problems: list[Problem]) -> Iterator[str]:
    """Those of the project, and those of the folders that models of `folders` are in; `language` is `sql` or `python`."""
    yield from sorted(walk_files(root, f"{FOLDER}/{language}", (suffix,), problems))
    owners = {"/".join(folder.split("/")[:end]) for folder in folders for end in range(1, folder.count("/") + 2)}
    for owner in sorted(owners):
        for role in ("hooks", "_hooks"):
            yield from sorted(walk_files(root, f"{owner}/_sqlbuild/{role}/{language}", (suffix,), problems))


def sees_hook(model: str, hook: str) -> bool:
    """Whether the model in the file `model` may call what stands in the file `hook`."""
    owner, marked, role = hook.partition("/_sqlbuild/")
    if not marked:
        return True
    folder = model.rpartition("/")[0]
    return folder == owner or (not role.startswith("_hooks/") and folder.startswith(f"{owner}/"))
