"""`sqb`, `sqlbuild` and `python -m sqlbuild`."""

from __future__ import annotations

import atexit
import gc
import sys

from sqlbuild import __version__


def main() -> None:
    """Run the command line and leave with its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        try:
            print(f"sqlbuild {__version__}", flush=True)  # noqa: T201 -- before anything else is loaded
            sys.exit(0)
        except OSError:
            pass  # the command line tells what is wrong
    # A command makes many objects that live to its end; looking through them again and again costs a third of the time.
    # What is made before the project is open is not looked through at all: `open_project` begins with it.
    gc.disable()
    gc.set_threshold(50_000, 50, 50)
    # Here and not above, so that the version is told without loading what the commands need.
    from sqlbuild.cli.leaving import QuickEnd

    end = QuickEnd()
    atexit.register(end)
    from sqlbuild.cli.interrupts import StopSignals, interrupts_kept

    signals = StopSignals()
    signals.listen()
    try:
        with interrupts_kept():
            from sqlbuild.cli.leaving import leave
            from sqlbuild.cli.main import main as run_command_line
        code = run_command_line(sys.argv[1:], signals)
        signals.leave_at_once()
    except KeyboardInterrupt:
        # Where nothing is half-done: before a command begins, or when it is over.
        signals.end()
    end.code = code
    leave(code)


if __name__ == "__main__":
    main()
