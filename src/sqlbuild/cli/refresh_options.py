"""Options that say what is asked of incremental models."""

from __future__ import annotations

from typing import Annotated

import typer

from sqlbuild.domain.incremental import Refresh

FullRefresh = Annotated[
    bool, typer.Option("--full-refresh", help="Build incremental models anew, but for those with full_refresh false.")
]
StartCursor = Annotated[
    str | None,
    typer.Option(
        "--start-cursor", metavar="VALUE", help="Incremental models: begin at this cursor, a time or whole number."
    ),
]
EndCursor = Annotated[
    str | None, typer.Option("--end-cursor", metavar="VALUE", help="Incremental models: end before this cursor.")
]
StartCursorTs = Annotated[str | None, typer.Option("--start-cursor-ts", metavar="TIME", hidden=True)]
EndCursorTs = Annotated[str | None, typer.Option("--end-cursor-ts", metavar="TIME", hidden=True)]
StartCursorInt = Annotated[int | None, typer.Option("--start-cursor-int", metavar="NUMBER", hidden=True)]
EndCursorInt = Annotated[int | None, typer.Option("--end-cursor-int", metavar="NUMBER", hidden=True)]
MaxMicrobatches = Annotated[
    int | None,
    typer.Option(
        "--max-microbatches",
        min=1,
        metavar="N",
        help="Fail a microbatch model before it does more batches; in the place of its own limit.",
    ),
]

_Forms = tuple[str | None, str | None, int | None]


def refresh_of(
    *,
    full: bool = False,
    start: _Forms = (None, None, None),
    end: _Forms = (None, None, None),
    most_batches: int | None = None,
) -> Refresh:
    """The bounds each in the three forms of its option. Raises typer.BadParameter for more than one of them."""
    return Refresh(full=full, start=_bound("start", start), end=_bound("end", end), most_batches=most_batches)


def _bound(which: str, forms: _Forms) -> str | None:
    given = [str(value) for value in forms if value is not None]
    if len(given) > 1:
        raise typer.BadParameter(
            f"--{which}-cursor, --{which}-cursor-ts and --{which}-cursor-int mean the same; give one"
        )
    return given[0] if given else None
