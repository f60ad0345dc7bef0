from __future__ import annotations

import gzip
import hashlib
import json
import os
import stat

import duckdb
import pytest

from sqlbuild.domain.exports import ExportFormat
from sqlbuild.errors import ExportError
from sqlbuild.runner.exporting.folder_notes import NOTES_NAME, FolderNotes, noted_folders
from sqlbuild.runner.exporting.leftovers import remove_export_leftovers
from sqlbuild.runner.exporting.partitions import run_of_generation
from sqlbuild.runner.exporting.working_files import (
    CHUNK_BYTES,
    HashingFile,
    WorkingName,
    create_file,
    make_folder,
    read_facts,
    run_of_working_name,
    step,
)

NAME = WorkingName(run_id="20251122T101010Z-abc123", node="orders", attempt=2, number=7, token="0f0f0f")
OPTIONS = {
    ExportFormat.CSV: "HEADER",
    ExportFormat.CSV_GZ: "FORMAT csv, HEADER, COMPRESSION gzip",
    ExportFormat.JSON: "FORMAT json, ARRAY true",
    ExportFormat.JSONL: "FORMAT json",
}


def test_names_of_unfinished_files_tell_their_run():
    assert run_of_working_name(str(NAME)) == run_of_working_name(str(NAME.of_spool())) == NAME.run_id
    assert run_of_generation(NAME.generation) == NAME.run_id
    assert str(NAME) != str(NAME.of_spool())
    for name in ("orders.csv", ".sqb-export~", ".sqb-export~x.tmp", str(NAME) + ".csv"):
        assert run_of_working_name(name) is None
    assert run_of_generation("data.csv") is None


def test_the_longest_node_name_still_makes_a_file_name():
    long = WorkingName(run_id=NAME.run_id, node="n" * 250, attempt=1, number=1, token="000000")
    assert len(str(long)) < 200
    assert run_of_working_name(str(long)) == run_of_working_name(str(long.of_spool())) == NAME.run_id


@pytest.mark.parametrize("format", OPTIONS)
@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS a WHERE false",
        "SELECT 1 AS a",
        'SELECT \'two\nlines, a "quote" and a comma\' AS "a ""b""\n" FROM range(3)',
        "SELECT repeat('\"\n', i % 90) AS text, i FROM range(20000) t(i)",
    ],
)
def test_rows_of_text_files_are_counted_while_they_are_read(tmp_path, format, query):
    path = tmp_path / "x"
    (rows,) = duckdb.execute(f"COPY ({query}) TO '{path}' ({OPTIONS[format]})").fetchone()
    facts = read_facts(str(path), format)
    content = path.read_bytes()
    assert (facts.rows, facts.bytes, facts.sha256) == (rows, len(content), hashlib.sha256(content).hexdigest())


def test_a_quote_at_the_edge_of_a_chunk_counts_once(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"a\n" + b"x" * (CHUNK_BYTES - 4) + b'\n"' + b'a""\n\n"\n')
    assert read_facts(str(path), ExportFormat.CSV).rows == 2
    packed = tmp_path / "x.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_facts(str(packed), ExportFormat.CSV_GZ).rows == 2


def test_a_hashing_file_keeps_nothing_of_what_comes_after_its_end():
    written: list[bytes] = []
    file = HashingFile(lambda view: written.append(bytes(view)))
    assert file.write(b"abc") == 3
    file.dead = True
    assert file.write(b"the end of a writer that was given up") == 37
    assert written == [b"abc"]
    assert file.facts.sha256 == hashlib.sha256(b"abc").hexdigest()
    assert file.tell() == 3


def test_a_new_file_has_the_permissions_of_the_one_that_it_replaces(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.touch()
    old.chmod(0o640)
    create_file(str(new), replaces=str(old))
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    with (
        pytest.raises(ExportError, match=r"x.csv could not be written \(making it\): File exists"),
        step("x.csv", "making it"),
    ):
        create_file(str(new))


def test_folders_are_noted_once_and_a_torn_note_is_left_out(tmp_path):
    path = tmp_path / "runs/r1/exports"
    notes = FolderNotes(str(path))
    for folder in ("/a", "/b\n", "/a"):
        notes.add(folder)
    assert path.read_text() == '"/a"\n"/b\\n"\n'
    with path.open("a") as file:
        file.write('"/c')
    assert noted_folders(str(path)) == ("/a", "/b\n")


def test_only_what_dead_runs_have_left_is_removed(tmp_path):
    exports = tmp_path / "exports"
    make_folder(str(exports / "parts"))
    dead, alive = NAME, WorkingName(run_id="alive", node="orders", attempt=1, number=1, token="aa")
    for name in (dead, alive):
        FolderNotes(str(tmp_path / "runs" / name.run_id / NOTES_NAME)).add(str(exports))
        FolderNotes(str(tmp_path / "runs" / name.run_id / NOTES_NAME)).add(str(exports / "parts"))
        (exports / str(name)).touch()
        os.mkdir(exports / "parts" / str(name))
        os.mkdir(exports / "parts" / name.generation)
    kept = WorkingName(run_id=dead.run_id, node="orders", attempt=3, number=1, token="bb").generation
    os.mkdir(exports / "parts" / kept)
    (exports / "parts/_manifest.json").write_text(json.dumps({"generation": kept}))
    (exports / "orders.csv").touch()
    removed = remove_export_leftovers(str(tmp_path / "runs"), lambda run_id: run_id == "alive")
    assert sorted(os.path.relpath(path, exports) for path in removed) == sorted(
        [str(dead), f"parts/{dead}", f"parts/{dead.generation}"]
    )
    left = {str(path.relative_to(exports)) for path in exports.rglob("*")}
    assert left == {
        str(alive), "orders.csv", "parts", "parts/_manifest.json", f"parts/{alive}", f"parts/{alive.generation}", f"parts/{kept}",
    }  # fmt: skip
    assert not (tmp_path / "runs" / dead.run_id / NOTES_NAME).exists()


def test_without_any_run_nothing_is_removed(tmp_path):
    assert remove_export_leftovers(str(tmp_path / "none"), lambda run_id: False) == ()
