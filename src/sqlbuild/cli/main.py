"""The command line as a whole: its commands, and what becomes of an error that one of them raises."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Annotated

import typer
import typer.main

from sqlbuild import __version__
from sqlbuild.cli.command_group import CommandGroup, add_commands
from sqlbuild.cli.error_report import ErrorReport
from sqlbuild.cli.interrupts import Stopped, StopSignals
from sqlbuild.cli.options import SharedOptions, environment, with_shared_options
from sqlbuild.cli.output import lost_output, prepare_streams, write_text
from sqlbuild.domain.masking import Masker
from sqlbuild.errors import SqlbuildError

# typer does not export the class of all its usage errors, only this one of its subclasses.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def tell_version(asked: bool) -> None:
    if asked:
        write_text(f"sqlbuild {__version__}\n")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", "-V", is_eager=True, callback=tell_version, help="Print the version.")
]


def main(arguments: Sequence[str], signals: StopSignals | None = None) -> int:
    """Run one command and return its exit code; errors are told here and nowhere else."""
    prepare_streams()
    report = ErrorReport.asked_for(arguments)
    try:
        code = _run(arguments, report.masker)
    except SqlbuildError as error:
        code = report.known(error)
    except (Stopped, KeyboardInterrupt, typer.Abort):
        code = report.stopped(signals.first if signals is not None else "SIGINT")
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except Exception as error:  # noqa: BLE001 -- whatever it is, the user gets a line and a file, no traceback
        if isinstance(error, _UsageError):
            code = report.usage(_message_of(error), _shown_of(error))
        # The help is not written by `write_text`.
        elif isinstance(error, OSError) and (lost := lost_output()) is not None:
            code = report.known(lost)
        else:
            code = report.crash(error)
    return code


def make_app() -> typer.Typer:
    """All commands, in the order in which the help lists them."""
    app = typer.Typer(
        name="sqb",
        cls=CommandGroup,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    )
    app.callback()(with_shared_options(before_any_command))
    add_commands(app)
    return app


def before_any_command(_options: SharedOptions, _version: Version = False) -> int:
    """Run a data project's SQL models and Python assets, sync and async, as one graph."""
    return 0


def _run(arguments: Sequence[str], masker: Masker) -> int:
    command = typer.main.get_command(make_app())
    shared = SharedOptions(environ=environment(), masker=masker)
    code = command.main(list(arguments) or ["--help"], prog_name="sqb", standalone_mode=False, obj=shared)
    return code if isinstance(code, int) else 0


def _message_of(error: Exception) -> str:
    format_message = getattr(error, "format_message", None)
    return str(format_message()) if format_message is not None else str(error)


def _shown_of(error: Exception) -> str:
    """The usage line and the message, as a person is told them."""
    shown = io.StringIO()
    show = getattr(error, "show", None)
    if show is not None:
        show(file=shown)
    return shown.getvalue() or f"Error: {error}\n"
