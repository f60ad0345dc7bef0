"""Options that say which nodes a command works on."""

from __future__ import annotations

from typing import Annotated

import typer

from sqlbuild.domain.selection import Selection, split_selectors

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
Load = Annotated[
    bool | None,
    typer.Option("--load/--no-load", help="Run loaders, or none of them.", show_default="as the settings say: --load"),
]
Only = Annotated[bool, typer.Option("--only", help="Add no upstream that the target lacks.")]
Changed = Annotated[
    bool, typer.Option("--changed", help="Of all this only what is not up to date, and what depends on that.")
]
DeferTo = Annotated[
    str | None,
    typer.Option("--defer-to", metavar="TARGET", help="Read what is not selected at this target, as far as it has it."),
]
AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="Succeed if the selection is empty.")]
NoPython = Annotated[
    bool, typer.Option("--no-python", help="Leave out assets, tasks and checks; what loaders need still runs.")
]


def selection_of(
    selectors: list[str] | None,
    select: list[str] | None,
    exclude: list[str] | None,
    *,
    only: bool = False,
    changed: bool = False,
    defer_to: str | None = None,
    allow_empty: bool = False,
    no_python: bool = False,
    no_checks: bool = False,
    no_tests: bool = False,
    tests_alone: bool = False,
    case: str | None = None,
    checks_alone: bool = False,
    audits_alone: bool = False,
    load: bool | None = None,
    loaders_alone: bool = False,
    seeds_alone: bool = False,
) -> Selection:
    """What the options of a command ask for."""
    return Selection(
        select=split_selectors([*(selectors or ()), *(select or ())]),
        exclude=split_selectors(exclude or []),
        only=only,
        changed=changed,
        defer_to=defer_to,
        allow_empty=allow_empty,
        no_python=no_python,
        no_checks=no_checks,
        no_tests=no_tests,
        tests_alone=tests_alone,
        case=case,
        checks_alone=checks_alone,
        audits_alone=audits_alone,
        load=load,
        loaders_alone=loaders_alone,
        seeds_alone=seeds_alone,
    )
