"""Options that say which nodes a command works on."""

from __future__ import annotations

from typing import Annotated

import typer

from sqlbuild.domain.selection import Selection

Selectors = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SELECTOR]...", help="Which nodes; everything if none is given.", show_default=False),
]
Select = Annotated[
    list[str] | None,
    typer.Option("--select", "-s", metavar="SELECTOR", help="The same as a SELECTOR argument; may be repeated."),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="SELECTOR", help="Leave these nodes out; may be repeated."),
]
Only = Annotated[bool, typer.Option("--only", help="Add no upstream that the target lacks.")]
AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="Succeed if the selection is empty.")]
NoPython = Annotated[bool, typer.Option("--no-python", help="Leave out assets and tasks.")]


def selection_of(
    selectors: list[str] | None,
    select: list[str] | None,
    exclude: list[str] | None,
    *,
    only: bool = False,
    allow_empty: bool = False,
    no_python: bool = False,
) -> Selection:
    """One value of an option may hold several selectors, parted by spaces."""
    return Selection(
        select=_parted([*(selectors or ()), *(select or ())]),
        exclude=_parted(exclude or []),
        only=only,
        allow_empty=allow_empty,
        no_python=no_python,
    )


def _parted(values: list[str]) -> tuple[str, ...]:
    # An empty value stays one: `--select "$NODE"` with an unset variable must not mean everything.
    return tuple(part for value in values for part in (value.split() or [""]))
