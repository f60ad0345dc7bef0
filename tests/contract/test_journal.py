"""What every journal promises, and what a file of one withstands."""

from __future__ import annotations

import contextlib
import json
import os
import resource

import pytest

from sqlbuild.domain.results import ErrorFacts, Status
from sqlbuild.errors import EngineError
from sqlbuild.state.journal import FileJournal, journal_has_ended, read_journal
from sqlbuild.state.node_result_json import result_from_json


def test_a_journal_says_what_happened(journal, make_result, make_record, make_run):
    kept, read = journal
    kept.started("task:a", 1, 10.0)
    kept.attempt_failed("task:a", 1, 11.0, 'ValueError: "no"\n\ud800 é')
    kept.started("task:a", 2, 12.0)
    kept.started("asset:b", 1, 12.5)
    kept.finished(make_record("task:a", attempt=2, payload='{"é":1}'))
    kept.ended(make_run(results=(make_result(),), exit_code=1))
    said = read()
    assert (said.run_id, said.target, said.ended_with, said.dropped_bytes) == ("r1", "dev", 1, 0)
    assert said.started == {"task:a": 2, "asset:b": 1}
    assert said.failed_attempts == {"task:a": ('ValueError: "no"\n\ud800 é',)}
    assert result_from_json(said.records["task:a"]) == make_result("task:a", attempt=2, payload='{"é":1}')


def test_a_start_without_an_end_is_unknown(journal, make_record):
    kept, read = journal
    for node in ("task:a", "task:b"):
        kept.started(node, 1, 10.0)
    kept.finished(make_record("task:b"))
    assert read().unknown == ("task:a",)
    assert read().ended_with is None


def test_an_end_that_may_wait_is_written_before_what_comes_next(journal, make_record):
    kept, read = journal
    kept.finished(make_record("task:a"), at_once=False)
    assert read().records == {}
    kept.started("task:b", 1, 10.0)
    assert read().records == {"task:a": make_record("task:a")}
    kept.finished(make_record("task:b"), at_once=False)
    kept.finished(make_record("task:c"), at_once=False)
    kept.write_out()
    kept.write_out()
    assert list(read().records) == ["task:a", "task:b", "task:c"]


def test_an_end_that_waits_is_written_by_closing(tmp_path, make_record):
    kept = FileJournal(str(tmp_path / "run"), run_id="r1", target="dev")
    kept.finished(make_record("task:a"), at_once=False)
    kept.close()
    kept.close()
    assert read_journal(kept.path).records == {"task:a": make_record("task:a")}


def test_the_last_of_several_ends_counts(journal, make_record):
    kept, read = journal
    kept.finished(make_record(status=Status.FAILED, error=ErrorFacts(type="E", message="m")))
    kept.finished(make_record())
    assert read().records == {"task:a": make_record()}


def test_checkpoints_are_folded_by_node_scope_and_key(journal):
    kept, read = journal
    kept.checkpoints("task:a", 1, 10.0, "f1", "", [("page", '{"é":1}')])
    kept.checkpoints("task:a", 1, 10.0, "f1", "push", [("1", "null"), ("2", '"x"')])
    kept.checkpoints("task:b", 1, 10.0, "f2", "", [("page", "1")])
    kept.checkpoints("task:a", 2, 11.0, "f1", "", [("page", "2")])
    found = read().checkpoints
    assert found["task:a"].fingerprint == "f1"
    assert found["task:a"].texts == {"": {"page": "2"}, "push": {"1": "null", "2": '"x"'}}
    assert found["task:b"].texts == {"": {"page": "1"}}


def test_checkpoints_of_other_code_are_forgotten(journal):
    kept, read = journal
    kept.checkpoints("task:a", 1, 10.0, "before", "push", [("1", "null")])
    kept.checkpoints("task:a", 1, 10.0, "after", "push", [("2", "null")])
    found = read().checkpoints["task:a"]
    assert (found.fingerprint, found.texts) == ("after", {"push": {"2": "null"}})


def test_a_node_that_was_begun_again_counts_as_begun(journal, make_record):
    kept, read = journal
    kept.started("task:a", 1, 10.0)
    kept.finished(make_record(status=Status.FAILED, error=ErrorFacts(type="E", message="m")))
    kept.started("task:a", 2, 20.0)
    assert read().unknown == ("task:a",)
    assert (read().started, read().began_at) == ({"task:a": 2}, {"task:a": 20.0})


def test_a_closed_journal_takes_nothing_more(journal):
    kept, _ = journal
    kept.close()
    kept.close()
    with pytest.raises(EngineError, match="closed"):
        kept.started("task:a", 1, 10.0)


# -- the file ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def journal_file(tmp_path, make_result, make_record, make_run):
    """The path of the whole journal of a small run."""
    written = FileJournal(str(tmp_path / "r1"), run_id="r1", target="dev")
    written.started("task:a", 1, 10.0)
    written.finished(make_record("task:a", payload='{"n":1}'))
    written.started("task:b", 1, 11.0)
    written.finished(make_record("task:b"))
    written.ended(make_run(results=(make_result(),)))
    written.close()
    return tmp_path / "r1" / "journal.jsonl"


def test_every_record_is_on_the_disk_when_the_call_returns(tmp_path):
    written = FileJournal(str(tmp_path), run_id="r1", target="dev")
    for attempt in (1, 2, 3):
        written.started("task:a", attempt, 1.0)
        assert read_journal(written.path).started == {"task:a": attempt}
    written.close()


def test_every_line_is_a_json_object(journal_file):
    lines = [json.loads(line) for line in journal_file.read_text().splitlines()]
    assert [next(key for key in line if key != "crc") for line in lines] == [
        "journal", "started", "finished", "started", "finished", "ended",
    ]  # fmt: skip
    assert lines[0]["pid"] == os.getpid()


def test_a_journal_cut_off_anywhere_opens_without_its_torn_record(journal_file):
    content = journal_file.read_bytes()
    ends = [index + 1 for index, byte in enumerate(content) if byte == ord("\n")]
    for length in range(len(content)):
        journal_file.write_bytes(content[:length])
        said = read_journal(str(journal_file))
        whole = max((end for end in ends if end <= length), default=0)
        assert said.dropped_bytes == length - whole
        assert bool(said.notes) == (length != whole)
        assert said.started.keys() - said.records.keys() == set(said.unknown)
        assert len(said.records) == sum(end <= length for end in (ends[2], ends[4]))


def test_one_wrong_byte_is_never_read_as_something_else(journal_file):
    content = journal_file.read_bytes()
    whole = read_journal(str(journal_file))
    last_line = content.rindex(b"\n", 0, -1) + 1
    for position in {*range(0, len(content), 3), *range(18)} - {last_line - 1}:
        journal_file.write_bytes(content[:position] + bytes([content[position] ^ 0x01]) + content[position + 1 :])
        if position < last_line:
            line = content.rfind(b"\n", 0, position) + 1
            with pytest.raises(EngineError, match=f"journal.jsonl is damaged at byte {line}$"):
                read_journal(str(journal_file))
        else:
            said = read_journal(str(journal_file))
            assert said.dropped_bytes
            assert (said.started, said.records, said.ended_with) == (whole.started, whole.records, None)


def test_only_the_last_record_says_that_a_run_ended(journal_file):
    content = journal_file.read_bytes()
    assert journal_has_ended(str(journal_file))
    for length in (0, 10, len(content) // 2, content.rindex(b"\n", 0, -1) + 1, len(content) - 1):
        journal_file.write_bytes(content[:length])
        assert not journal_has_ended(str(journal_file))
    assert not journal_has_ended(str(journal_file.parent / "missing.jsonl"))


def test_a_duplicated_record_changes_nothing(journal_file):
    whole = read_journal(str(journal_file))
    lines = journal_file.read_bytes().splitlines(keepends=True)
    for number in range(1, len(lines)):
        journal_file.write_bytes(b"".join([*lines[: number + 1], *lines[number:]]))
        assert read_journal(str(journal_file)) == whole


def test_a_journal_of_a_newer_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sqlbuild.state.journal.VERSION", 2)
    written = FileJournal(str(tmp_path), run_id="r1", target="dev")
    written.close()
    monkeypatch.undo()
    with pytest.raises(EngineError, match="version 2") as raised:
        read_journal(written.path)
    assert "newer" in raised.value.help


def test_an_entry_of_an_unknown_kind_is_passed_over(tmp_path):
    written = FileJournal(str(tmp_path), run_id="r1", target="dev")
    written._append('{"checkpoint":"task:a","value":1}', "a checkpoint")
    written.started("task:a", 1, 1.0)
    written.close()
    assert read_journal(written.path).started == {"task:a": 1}


def test_many_checkpoints_stand_in_few_records_of_bounded_size(tmp_path):
    written = FileJournal(str(tmp_path), run_id="r1", target="dev")
    entries = [(str(number), json.dumps("x" * 1_000)) for number in range(1_000)]
    written.checkpoints("task:a", 1, 1.0, "f", "push", entries)
    written.close()
    lines = (tmp_path / "journal.jsonl").read_bytes().splitlines()
    assert 4 <= len(lines) <= 8
    assert max(map(len, lines)) < 300_000
    assert read_journal(written.path).checkpoints["task:a"].texts["push"] == dict(entries)


def test_a_missing_journal_is_named(tmp_path):
    with pytest.raises(EngineError, match=r"nowhere\.jsonl cannot be read"):
        read_journal(str(tmp_path / "nowhere.jsonl"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(EngineError, match=r"runs/r1/journal\.jsonl cannot be written") as raised:
        FileJournal(str(tmp_path / "runs" / "r1"), run_id="r1", target="dev")
    assert raised.value.help


def test_a_run_never_writes_into_the_journal_of_another(journal_file):
    with pytest.raises(EngineError, match="cannot be written"):
        FileJournal(str(journal_file.parent), run_id="r1", target="dev")


@contextlib.contextmanager
def files_of_at_most(size: int):
    """As on a disk that is full then: what is more is cut off, or refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("fits", [0, 20])
def test_a_full_disk_names_file_and_step_and_leaves_whole_records(tmp_path, make_record, fits):
    journal = FileJournal(str(tmp_path), run_id="r1", target="dev")
    journal.started("task:a", 1, 1.0)
    size = os.path.getsize(journal.path)
    with (
        files_of_at_most(size + fits),
        pytest.raises(EngineError, match=r"journal\.jsonl cannot be written \(a node's result\)") as raised,
    ):
        journal.finished(make_record("task:a"))
    assert "free space" in raised.value.help
    assert os.path.getsize(journal.path) == size
    journal.started("task:b", 1, 2.0)
    journal.close()
    said = read_journal(journal.path)
    assert (said.unknown, said.dropped_bytes) == (("task:a", "task:b"), 0)


def test_two_runs_write_two_journals(tmp_path, make_record):
    journals = [FileJournal(str(tmp_path / run), run_id=run, target="dev") for run in ("r1", "r2")]
    for number, journal in enumerate(journals):
        journal.started(f"task:t{number}", 1, 1.0)
        journal.close()
    assert [read_journal(journal.path).run_id for journal in journals] == ["r1", "r2"]
