"""What a command is asked to work on, as text, and what that turned out to be."""

from __future__ import annotations

import dataclasses

from sqlbuild.domain.ids import NodeId


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Selectors as the command line gives them; no `select` means everything."""

    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    only: bool = False
    """Add no upstream that the target lacks."""
    allow_empty: bool = False
    """A selection without any node is no error."""
    no_python: bool = False
    """Leave out every asset and task."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The nodes a selection means. Sources may be among them; a plan leaves them out."""

    nodes: frozenset[NodeId]
    required: frozenset[NodeId]
    """Those of `nodes` that were added because something selected needs them and the target lacks them."""
    allow_empty: bool = False
    """As asked for: nothing to run is no error."""
