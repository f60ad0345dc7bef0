from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.artifacts.write_json import write_json
from sqlbuild.errors import ProjectError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("json")


@given(st.dictionaries(st.text() | st.just("\udc80"), VALUES | st.just("\udc80"), max_size=4))
def test_a_document_is_read_back_as_it_was(folder, document):
    write_json(str(folder / "document.json"), document)
    assert json.loads((folder / "document.json").read_text("utf-8")) == document


def test_a_list_has_one_element_a_line(tmp_path):
    write_json(str(tmp_path / "x.json"), {"version": 1, "nodes": [{"a": 1}, {"a": [2, 3]}], "none": []})
    assert (tmp_path / "x.json").read_text("utf-8") == (
        '{\n  "version": 1,\n  "nodes": [\n    {"a":1},\n    {"a":[2,3]}\n  ],\n  "none": []\n}\n'
    )


def test_missing_folders_are_made_and_nothing_else_is_left(tmp_path):
    write_json(str(tmp_path / "a" / "b" / "x.json"), {})
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["x.json"]


def test_a_file_is_replaced_whole_or_stays(tmp_path):
    path = tmp_path / "x.json"
    write_json(str(path), {"version": 1})
    with pytest.raises(TypeError):
        write_json(str(path), {"version": 2, "wrong": object()})
    assert json.loads(path.read_text("utf-8")) == {"version": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize("place", ["folder", "file/x.json"])
def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path, place):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("", "utf-8")
    path = str(tmp_path / place)
    with pytest.raises(ProjectError) as raised:
        write_json(path, {})
    (problem,) = raised.value.problems
    assert problem.code == "UNWRITABLE"
    assert problem.message.startswith(f"{path} cannot be written: ")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]
