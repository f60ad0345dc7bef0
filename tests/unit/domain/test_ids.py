from __future__ import annotations

import pytest

from sqlbuild.domain.ids import Relation, parse_relation


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ("orders", Relation("", "", "orders")),
        ("raw.orders", Relation("", "raw", "orders")),
        ('lake.raw."My ""Orders"".x"', Relation("lake", "raw", 'My "Orders".x')),
        ("", None),
        ("a.b.c.d", None),
        ("a..b", None),
        ("two words", None),
        ('"open', None),
        ("a.", None),
    ],
)
def test_the_name_of_a_table_has_up_to_three_parts(text, relation):
    assert parse_relation(text) == relation
