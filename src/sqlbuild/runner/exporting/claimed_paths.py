"""Which nodes of a run have exported where: two names never map to one file, and no node overwrites another's."""

from __future__ import annotations

from sqlbuild.domain.ids import NodeId, name_of
from sqlbuild.errors import ExportPathError
from sqlbuild.runner.exporting.paths import Place, folded


class ClaimedPaths:
    """Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[Place, NodeId]] = {}
        self._folders: dict[str, tuple[Place, NodeId]] = {}
        self._above: dict[str, tuple[Place, NodeId]] = {}
        """Folders that have something claimed in them, with one that is."""

    def claim(self, place: Place, node: NodeId, *, is_folder: bool) -> None:
        """Raises ExportPathError if the path is another node's, or another spelling of one that was exported."""
        key = folded(place.path)
        above = _folders_above(key)
        taken = self._files.get(key) or self._folders.get(key)
        if taken is not None and taken[1] != node:
            raise _taken(place, taken)
        if taken is not None and taken[0].path != place.path:
            raise ExportPathError(
                f"{place.shown} and {taken[0].shown} are one file on systems that do not tell such names apart",
                help="choose names that differ in more than case or accents",
            )
        around = next((self._folders[folder] for folder in above if folder in self._folders), None)
        if around is None and is_folder and taken is None:
            around = self._above.get(key)
        if around is not None:
            raise _taken(place, around)
        (self._folders if is_folder else self._files)[key] = (place, node)
        for folder in above:
            self._above.setdefault(folder, (place, node))


def _taken(place: Place, taken: tuple[Place, NodeId]) -> ExportPathError:
    other, node = taken
    return ExportPathError(
        f"{place.shown} and what {name_of(node)} exports in this run, {other.shown}, would be in each other's way",
        help="give each export a path of its own",
    )


def _folders_above(key: str) -> list[str]:
    parts = key.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]
