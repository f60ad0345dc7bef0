from __future__ import annotations

from sqlbuild.compiler.made_when_read import MadeWhenRead


def test_it_is_made_once_and_only_when_somebody_looks():
    made = []

    def make():
        made.append(True)
        return {"a": 1, "b": 2}

    mapping = MadeWhenRead(make)
    assert not made
    assert mapping["a"] == 1
    assert list(mapping) == ["a", "b"]
    assert len(mapping) == 2
    assert mapping == {"a": 1, "b": 2}
    assert repr(mapping) == "{'a': 1, 'b': 2}"
    assert made == [True]
