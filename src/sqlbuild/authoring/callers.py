"""Finds the author's line that is running."""

from __future__ import annotations

import sys
from types import FrameType

_AUTHORING = __file__.rpartition("/")[0] + "/"


def frame_of_caller(depth: int = 1) -> FrameType:
    """The innermost frame outside of this package. So many, from this one on, are known to be inside."""
    frame = sys._getframe(depth)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_AUTHORING):
        frame = frame.f_back
    return frame


def place_of_caller(depth: int = 1) -> str:
    """`file:line` of that frame."""
    frame = frame_of_caller(depth + 1)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
