"""What commands do with unit tests besides running them."""

from __future__ import annotations

import dataclasses
import math

from sqlbuild.app.options import Compiled
from sqlbuild.app.target_folder import state_json
from sqlbuild.domain.graph import Node
from sqlbuild.domain.nodes import UnitTest
from sqlbuild.domain.selection import Selection
from sqlbuild.project.model_fields import DISABLED, duration_seconds
from sqlbuild.selector.select_nodes import select_nodes
from sqlbuild.state.past_file import read_past


def time_limit(text: str) -> float:
    """Seconds of `45s`, `2m` or `90`; infinitely many of `disabled`. Raises ValueError."""
    if text == DISABLED:
        return math.inf
    try:
        seconds = float(text)
    except ValueError:
        seconds = duration_seconds(text) or 0.0
    if not math.isfinite(seconds) or seconds <= 0:
        raise ValueError(f"{text!r} is no duration above zero: write for example 45s, 2m or {DISABLED}")
    return seconds


def with_time_limit(compiled: Compiled, seconds: float | None) -> Compiled:
    """The same project with another time limit for all of its unit tests, if one is given."""
    if seconds is None:
        return compiled
    timeout = seconds if math.isfinite(seconds) else None
    nodes = {
        id: dataclasses.replace(node, declaration=dataclasses.replace(node.declaration, timeout=timeout))
        if isinstance(node.declaration, UnitTest)
        else node
        for id, node in compiled.graph.nodes.items()
    }
    return dataclasses.replace(compiled, graph=dataclasses.replace(compiled.graph, nodes=nodes))


def selected_tests(compiled: Compiled, selection: Selection) -> tuple[Node, ...]:
    """The unit tests of a selection, in their order. Raises SelectionError."""
    past, _ = read_past(state_json(compiled.project.root), compiled.project.settings.target.name)
    chosen = select_nodes(compiled.graph, past, selection).nodes
    return tuple(node for id, node in compiled.graph.nodes.items() if id in chosen)
