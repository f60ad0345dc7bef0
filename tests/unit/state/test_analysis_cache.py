from __future__ import annotations

import json
from pathlib import Path

import pytest

from sqlbuild.state.analysis_cache import FileAnalysisCache


def filled(path: Path, *keys: str) -> None:
    cache = FileAnalysisCache(path)
    for key in keys:
        cache.store(key, f"about {key}")
    cache.flush()


def test_what_is_stored_is_there_for_the_next_command(tmp_path: Path) -> None:
    filled(tmp_path / "target" / "analysis.json", "a")
    cache = FileAnalysisCache(tmp_path / "target" / "analysis.json")
    assert cache.load("a") == "about a"
    assert cache.load("b") is None


def test_what_was_stored_can_be_loaded_before_it_is_written(tmp_path: Path) -> None:
    cache = FileAnalysisCache(tmp_path / "analysis.json")
    cache.store("a", "1")
    assert cache.load("a") == "1"


def test_what_was_not_used_is_dropped_when_something_is_new(tmp_path: Path) -> None:
    path = tmp_path / "analysis.json"
    filled(path, "old", "kept")
    cache = FileAnalysisCache(path)
    cache.load("kept")
    cache.store("new", "x")
    cache.flush()
    assert sorted(json.loads(path.read_text())["entries"]) == ["kept", "new"]


def test_nothing_is_written_when_nothing_is_new(tmp_path: Path) -> None:
    path = tmp_path / "analysis.json"
    filled(path, "a", "b")
    before = path.stat()
    cache = FileAnalysisCache(path)
    cache.load("a")
    cache.flush()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_cache_without_entries_creates_no_file(tmp_path: Path) -> None:
    FileAnalysisCache(tmp_path / "target" / "analysis.json").flush()
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"format": 99, "entries": {"a": "1"}}', b'{"format": 1, "entries": {"a": 1}}',
     b'{"format": 1}', b"\xff\xfe", b"[" * 100_000],
)  # fmt: skip
def test_a_damaged_file_counts_as_empty_and_is_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "analysis.json"
    path.write_bytes(content)
    assert FileAnalysisCache(path).load("a") is None
    filled(path, "a")
    assert FileAnalysisCache(path).load("a") == "about a"


def test_a_place_that_cannot_be_written_to_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("a file where a folder should be")
    filled(tmp_path / "target" / "analysis.json", "a")
    assert (tmp_path / "target").read_text() == "a file where a folder should be"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "analysis.json"
    path.mkdir()
    filled(path, "a")
    assert [entry.name for entry in tmp_path.iterdir()] == ["analysis.json"]


def test_any_text_survives(tmp_path: Path) -> None:
    text = 'ä "quoted" \\ \n \x00 \U0001f600'
    cache = FileAnalysisCache(tmp_path / "analysis.json")
    cache.store("a", text)
    cache.flush()
    assert FileAnalysisCache(tmp_path / "analysis.json").load("a") == text
