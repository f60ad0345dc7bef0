"""From the options to a project: find its root, go there, read it."""

from __future__ import annotations

import gc
import os
import sys

from sqlbuild.app import opening
from sqlbuild.app.project_root import find_root
from sqlbuild.cli.interrupts import interrupts_kept
from sqlbuild.cli.options import SharedOptions


def project_options(options: SharedOptions) -> opening.ProjectOptions:
    """Make the project's root the working directory. Raises ProjectError where there is no project."""
    root = find_root(options.project_dir or ".")
    os.chdir(root)
    return opening.ProjectOptions(
        root=root, target=options.target, vars=options.vars, environ=options.environ, masker=options.masker
    )


def open_project(options: SharedOptions) -> opening.Compiled:
    """Read and compile the project. Raises ProjectError with every problem found."""
    # Modules and the project live as long as the process: looking for garbage in them is time lost, in 10,000 nodes 0.1 s.
    # So it begins here; `main` has put it off.
    try:
        # What a module prints while it is imported is no part of what the command answers.
        with interrupts_kept(), opening.captured_output(sys.stderr, options.masker):
            return opening.open_project(project_options(options))
    finally:
        gc.freeze()
        gc.enable()
