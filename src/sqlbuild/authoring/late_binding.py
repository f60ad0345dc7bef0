"""Finds nodes made in a loop that would all see the loop's last value.

Nodes that share one code object, with equal defaults and equal closure values, behave alike; if a variable that the
code reads was rebound between their declarations, the author meant them to differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlbuild.authoring.code_reads import MISSING, cell_values
from sqlbuild.authoring.collecting import Collected, Collector
from sqlbuild.domain.ids import Place
from sqlbuild.errors import Problem

_PLAIN = (str, int, float, bool, bytes, type(None))


def late_bindings(collector: Collector) -> list[Problem]:
    """One problem for each variable that nodes of one code object read too late."""
    shared: dict[int, list[Collected]] = {}
    for entry in collector.entries:
        if entry.values:
            shared.setdefault(id(entry.inner.__code__), []).append(entry)
    return [problem for entries in shared.values() if len(entries) > 1 for problem in _problems_of(entries, collector)]


def _problems_of(entries: Sequence[Collected], collector: Collector) -> Iterator[Problem]:
    code = entries[0].inner.__code__
    names = (*collector.reads_of(code).names, *code.co_freevars)
    found: dict[str, list[Collected]] = {}
    for alike in _alike(entries):
        for index, name in enumerate(names):
            if _differ(entry.values[index] for entry in alike):
                found.setdefault(name, []).extend(alike)
    for name, nodes in found.items():
        yield _problem(name, [entry.node.declared.name for entry in nodes], code.co_name, nodes[0].node.declared.place)


def _alike(entries: Sequence[Collected]) -> Iterator[Sequence[Collected]]:
    """Groups of several nodes that nothing bound to them tells apart."""
    groups: dict[object, list[Collected]] = {}
    for entry in entries:
        function = entry.inner
        keywords = function.__kwdefaults__ or {}
        bound = (*(function.__defaults__ or ()), *keywords.values(), *cell_values(function))
        groups.setdefault((id(function.__globals__), *map(_identity, bound)), []).append(entry)
    return (group for group in groups.values() if len(group) > 1)


def _differ(values: Iterable[object]) -> bool:
    # A name that has no value yet is not rebound by getting one.
    return len({_identity(value) for value in values if value is not MISSING}) > 1


def _identity(value: object) -> object:
    """Equal for the same object and for equal plain values; never asks a foreign object for equality."""
    return (type(value), value) if type(value) in _PLAIN else id(value)


def _problem(variable: str, nodes: Sequence[str], function: str, place: Place) -> Problem:
    shown = ", ".join(nodes[:3]) + (", ..." if len(nodes) > 3 else "")
    return Problem(
        code="LATE_BINDING",
        message=f"{len(nodes)} nodes ({shown}) read `{variable}` when they run, so all of them get its last value",
        help=f"bind it: `def {function}(ctx, {variable}={variable})`, or make the function in a helper that takes it",
        path=place.path,
        line=place.line,
    )
