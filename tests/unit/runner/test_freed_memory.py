from __future__ import annotations

import ctypes
from types import SimpleNamespace

from sqlbuild.runner.freed_memory import give_freed_memory_back


def test_it_is_asked_of_the_c_library_that_can_do_it(monkeypatch):
    asked = []
    library = SimpleNamespace(malloc_trim=lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    give_freed_memory_back()
    assert asked == [(0,)]


def test_another_c_library_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    give_freed_memory_back()
