"""How a command that failed tells why: problems for people, one document for programs, a file for a crash."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence

from sqlbuild import __version__
from sqlbuild.app.wording import counted, one_line, safe_text
from sqlbuild.cli.interrupts import EXIT_CODES
from sqlbuild.cli.options import colour_allowed, environment
from sqlbuild.cli.output import is_terminal, write_document, write_error_text
from sqlbuild.domain.masking import Masker
from sqlbuild.domain.record import record
from sqlbuild.errors import Problem, SqlbuildError

SCHEMA_VERSION = 1
_SETTINGS_FILE = "sqlbuild_project.toml"


@record(frozen=True, slots=True, kw_only=True)
class ErrorReport:
    """What the command line asked for, read from it directly because it may be the thing that is wrong."""

    json: bool = False
    debug: bool = False
    colour: bool = False
    masker: Masker = dataclasses.field(default_factory=Masker, compare=False, repr=False)
    """Learns the secrets of the project while the command runs."""

    @classmethod
    def asked_for(cls, arguments: Sequence[str]) -> ErrorReport:
        options = arguments[: arguments.index("--")] if "--" in arguments else arguments
        colour = "--no-color" not in options and colour_allowed(environment()) and is_terminal(sys.stderr)
        return cls(json="--json" in options, debug="--debug" in options, colour=colour)

    def known(self, error: SqlbuildError) -> int:
        """Tell every problem of `error`; returns the exit code."""
        if self.debug:
            write_error_text(self.masker.text("".join(traceback.format_exception(error))))
        problems = tuple(map(self.masker.problem, error.problems))
        message = problems[0].message if len(problems) == 1 else counted(len(problems), "problem")
        self._tell(problems, error.code, message, error.exit_code)
        return error.exit_code

    def usage(self, message: str, shown: str) -> int:
        """Tell what is wrong with the command line; `shown` is what a person reads, with the usage line."""
        if self.json:
            self._tell((Problem(code="USAGE", message=message),), "USAGE", message, 2)
        else:
            write_error_text(shown)
        return 2

    def stopped(self, signal_name: str) -> int:
        """Tell that a signal ended the command outside of a run, which tells it itself."""
        message, exit_code = f"stopped ({signal_name})", EXIT_CODES[signal_name]
        if self.json:
            self._tell((Problem(code="STOPPED", message=message),), "STOPPED", message, exit_code)
        else:
            write_error_text(f"{message}\n")
        return exit_code

    def crash(self, error: Exception) -> int:
        """Keep the traceback of an error of sqlbuild itself in a file and name it in one line."""
        text = self.masker.text("".join(traceback.format_exception(error)))
        if self.debug:
            write_error_text(text)
        kept = _write_crash(text)
        what = f"{type(error).__name__}: {one_line(self.masker.text(str(error)), 300)}"
        problem = Problem(
            code="CRASH",
            message=f"sqlbuild itself failed: {what}",
            help=f"please report it with {kept}" if kept else "run it again with --debug to see where",
        )
        self._tell((problem,), problem.code, problem.message, 5)
        return 5

    def _tell(self, problems: Sequence[Problem], code: str, message: str, exit_code: int) -> None:
        if self.json:
            # If stdout cannot take the document, stderr tells the same for people.
            with contextlib.suppress(SqlbuildError):
                write_document(error_document(problems, code, message, exit_code))
                return
        write_error_text("".join(f"{problem_text(problem, self.colour)}\n" for problem in problems))


def problem_text(problem: Problem, colour: bool) -> str:
    """`severity[CODE] place: message` and the help, control characters escaped."""
    text = safe_text(str(problem))
    if not colour:
        return text
    head = f"{problem.severity}[{problem.code}]"
    return f"\x1b[{'31' if problem.severity == 'error' else '33'}m{head}\x1b[0m{text.removeprefix(head)}"


def problem_document(problem: Problem) -> dict[str, object]:
    return dataclasses.asdict(problem)


def error_document(problems: Sequence[Problem], code: str, message: str, exit_code: int) -> dict[str, object]:
    return {
        "schema_version": SCHEMA_VERSION,
        "error": {"code": code, "message": message, "exit_code": exit_code},
        "problems": [problem_document(problem) for problem in problems],
    }


def _write_crash(text: str) -> str | None:
    """Path of the file with the report: in target/ inside a project, else in the system's temporary folder."""
    name = f"crash-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}-{os.urandom(3).hex()}.txt"
    versions = f"sqlbuild {__version__}, Python {platform.python_version()}, {platform.platform()}\n\n"
    folders = ["target"] if os.path.exists(_SETTINGS_FILE) else []
    for folder in (*folders, tempfile.gettempdir()):
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError):
            os.makedirs(folder, exist_ok=True)
            with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(versions + text)
            return path
    return None
