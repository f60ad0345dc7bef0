"""What commands that need the warehouse say while another process holds it, and for how long they wait."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from sqlbuild.app.wording import counted, one_line, waiting_text
from sqlbuild.cli.options import SharedOptions
from sqlbuild.cli.output import write_error_text

if TYPE_CHECKING:
    from sqlbuild.app.live_runs import LiveRun
    from sqlbuild.app.target_access import Patience
    from sqlbuild.domain.events import Event


def finite_seconds(text: str) -> float:
    """Seconds as the command line gives them. Raises typer.BadParameter for less than 0 and what is no number."""
    try:
        seconds = float(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a number of seconds") from error
    if not math.isfinite(seconds) or seconds < 0:
        raise typer.BadParameter(f"{text!r} is not a number of seconds of at least 0")
    return seconds


def time_limit_of_tests(text: str) -> float:
    """Seconds, infinitely many for `disabled`. Raises typer.BadParameter."""
    from sqlbuild.app.unit_tests import time_limit

    try:
        return time_limit(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


TestTimeout = Annotated[
    float | None,
    typer.Option(
        "--test-timeout",
        parser=time_limit_of_tests,
        metavar="DURATION",
        help="Time limit of each unit test, such as 45s or 2m, or `disabled`.",
        show_default="as the settings say: 30s",
    ),
]
LockTimeout = Annotated[
    float,
    typer.Option(parser=finite_seconds, metavar="SECONDS", help="Wait so long for a target another run writes to."),
]


class WaitingNotes:
    """`sqlbuild.interfaces.event_sink.EventSink` that says on stderr what is waited for and what was found: stdout is
    for what the command answers."""

    def handle(self, event: Event) -> None:
        from sqlbuild.domain.events import RunNote, RunWarning, WaitingForTarget

        if isinstance(event, WaitingForTarget):
            write_error_text(f"{waiting_text(event)}\n")
        elif isinstance(event, RunNote):
            write_error_text(f"{one_line(event.message, 1_000)}\n")
        elif isinstance(event, RunWarning):
            write_error_text(f"warning: {one_line(event.message, 1_000)}\n")

    def tick(self) -> None:
        """Nothing is drawn."""

    def close(self) -> None:
        """Nothing is held."""


def patience_of(options: SharedOptions, lock_timeout: float) -> Patience:
    """Of a command without a run."""
    from sqlbuild.app.target_access import Patience

    return (
        Patience(seconds=lock_timeout)
        if options.quiet
        else Patience(seconds=lock_timeout, publish=WaitingNotes().handle)
    )


def running_text(live: LiveRun) -> str:
    """What is said of a run that goes on: who runs it and how far it is."""
    done, at_work = counted(len(live.done), "node"), len(live.at_work)
    holder = live.holder
    return f"run {live.run_id}, running ({holder.command}, pid {holder.pid} on {holder.host}): {done} done, {at_work} at work"


def note_live_run(live: LiveRun | None, options: SharedOptions) -> None:
    """Say on stderr that what is shown is of a run that goes on."""
    if live is not None and not (options.quiet or options.json):
        write_error_text(f"as of {running_text(live)}\n")
