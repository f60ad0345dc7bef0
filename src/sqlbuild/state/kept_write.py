"""write(2) by a thread that keeps the interpreter meanwhile.

`os.write` lets another thread run and then waits for its turn: where any thread has work, that takes tens of microseconds
and now and then a whole switch interval, for a call that takes one or two. The price is that a file system that stands
still keeps every thread waiting, not only this one.
"""

from __future__ import annotations

import ctypes
import errno
import os

_write = ctypes.PyDLL(None, use_errno=True).write
_write.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
_write.restype = ctypes.c_ssize_t


def kept_write(file: int, data: bytes) -> int:
    """How many bytes were written. Raises OSError."""
    while True:
        written: int = _write(file, data, len(data))
        if written >= 0:
            return written
        code = ctypes.get_errno()
        # A signal that comes on a file system of the network: nothing was written, and its handler runs now.
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))
