"""Finds the author's line that is running."""

from __future__ import annotations

import sys
from types import FrameType

_AUTHORING = __file__.rpartition("/")[0] + "/"


def frame_of_caller() -> FrameType:
    """The innermost frame outside of this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_AUTHORING):
        frame = frame.f_back
    return frame


def place_of_caller() -> str:
    """`file:line` of that frame."""
    frame = frame_of_caller()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
