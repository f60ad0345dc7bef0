"""`sqb`, `sqlbuild` and `python -m sqlbuild`."""

from __future__ import annotations

import sys

from sqlbuild import __version__


def main() -> None:
    """Run the command line and leave with its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"sqlbuild {__version__}")  # noqa: T201 -- before anything else is loaded
        sys.exit(0)
    # Here and not above, so that the version is told without loading what the commands need.
    from sqlbuild.cli.main import leave
    from sqlbuild.cli.main import main as run_command_line

    leave(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
