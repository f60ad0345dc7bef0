from __future__ import annotations

import pytest

from sqlbuild.domain.graph import Fingerprint

NOW = Fingerprint(code="c0", settings="50", upstream="00", total="70")


def test_a_stored_fingerprint_is_read_back():
    assert Fingerprint.parse(NOW.stored()) == NOW


@pytest.mark.parametrize("text", ["", "70", "a:b:c", "a:b:c:", "a:b:c:d:e"])
def test_other_text_is_no_fingerprint(text):
    assert Fingerprint.parse(text) is None


@pytest.mark.parametrize(
    ("stored", "changed"),
    [
        ("70:c0:50:00", ()),
        ("70", ()),
        ("71:c1:50:00", ("code",)),
        ("71:c0:51:00", ("settings",)),
        ("71:c0:50:01", ("upstream",)),
        ("71:c1:51:01", ("code", "settings", "upstream")),
        ("71:c0:50:00", ("code",)),
        ("something else", ("code",)),
        ("", ("code",)),
        (None, ("code",)),
    ],
)
def test_what_changed_is_told_part_by_part(stored, changed):
    assert NOW.changed_parts(stored) == changed


def test_ancestors_and_descendants_are_found_up_to_a_distance(make_graph):
    graph = make_graph({"task:a": [], "task:b": ["task:a"], "task:c": ["task:b"], "task:d": ["task:b", "task:a"]})
    assert graph.ancestors(["task:c"]) == {"task:a", "task:b"}
    assert graph.ancestors(["task:c"], 1) == {"task:b"}
    assert graph.descendants(["task:a"]) == {"task:b", "task:c", "task:d"}
    assert graph.descendants(["task:a"], 1) == {"task:b", "task:d"}
    assert graph.descendants(["task:a"], 0) == set()
