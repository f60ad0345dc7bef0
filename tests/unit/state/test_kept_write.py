from __future__ import annotations

import errno
import os

import pytest

from sqlbuild.state.kept_write import kept_write


def test_it_writes_bytes_as_they_are(tmp_path):
    file = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT)
    assert kept_write(file, b"one\0two\n") == 8
    assert kept_write(file, b"") == 0
    os.close(file)
    assert (tmp_path / "f").read_bytes() == b"one\0two\n"


def test_what_the_system_refuses_is_raised_with_its_number(tmp_path):
    file = os.open(tmp_path / "f", os.O_RDONLY | os.O_CREAT)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)) as raised:
        kept_write(file, b"text")
    assert raised.value.errno == errno.EBADF
    os.close(file)
