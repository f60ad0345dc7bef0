"""What becomes of the memory that the process has freed."""

from __future__ import annotations

import contextlib
import ctypes

_M_MMAP_THRESHOLD = -3
_LARGE = 1 << 20


def give_large_blocks_back() -> None:
    """Have each block of a megabyte or more given back to the system as soon as it is freed.

    glibc begins with that, but raises the bound with every such block, and keeps more and more of what the phases make
    and drop: of 100,000 nodes 20 MB, in tables of dicts.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # where there is another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)
