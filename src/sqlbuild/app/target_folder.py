"""`target/` of a project, where everything goes that commands write."""

from __future__ import annotations

import os

from sqlbuild.errors import Problem, ProjectError


def target_folder(root: str) -> str:
    """`target/` of a project, made if it is not there. Raises ProjectError if it cannot be written."""
    folder = os.path.join(root, "target")
    try:
        os.makedirs(os.path.join(folder, "runs"), exist_ok=True)
        ignore = os.path.join(folder, ".gitignore")
        if not os.path.exists(ignore):
            with open(ignore, "w", encoding="utf-8") as file:
                file.write("*\n")
    except OSError as error:
        raise ProjectError(
            Problem(
                code="TARGET_DIR",
                message=f"target/ cannot be written: {error.strerror}",
                help="make the folder writable, or remove what stands in its place",
                path="target",
            )
        ) from error
    return folder


def state_json(root: str) -> str:
    return os.path.join(root, "target", "state.json")
