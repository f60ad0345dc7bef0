from __future__ import annotations

import pytest

from sqlbuild.domain.graph import Fingerprint, Node
from sqlbuild.domain.ids import NodeKind, Place, Relation, node_id
from sqlbuild.domain.nodes import Model
from sqlbuild.domain.source_map import Expansion
from sqlbuild.errors import WarehouseError
from sqlbuild.runner.kinds.sql_model import placed

SQL = "SELECT f(\n  a), b,\n  c"
"""Written as `SELECT @py.m(), b,` and `  c` on lines 3 and 4 of the file: the macro gave two lines."""
EXPANSION = Expansion(
    macro="m",
    defined=Place("macros/python/m.py", 5),
    start=7,
    end=14,
    place=Place("models/x.sql", 3, 8),
    behind=Place("models/x.sql", 3, 15),
)


def node(expansions: tuple[Expansion, ...] = (EXPANSION,)) -> Node:
    place = Place("models/x.sql", 1, 1)
    return Node(
        id=node_id(NodeKind.MODEL, "x"),
        kind=NodeKind.MODEL,
        name="x",
        place=place,
        declaration=Model(name="x", place=place, sql=SQL, sql_line=3, expansions=expansions),
        relation=Relation("", "dev", "x"),
        sql=SQL,
        expansions=expansions,
        fingerprint=Fingerprint(code="", settings="", upstream="", total=""),
    )


STATEMENT = f"CREATE TABLE x AS {SQL}"
FROM_THE_MACRO = "\nThis is the SQL of the macro m (macros/python/m.py:5), which is called at models/x.sql:3:8."


@pytest.mark.parametrize(
    ("quoted", "place", "ending"),
    [
        ("LINE 1: CREATE TABLE x AS SELECT f(\n                                 ^", "models/x.sql:3:", FROM_THE_MACRO),
        ("LINE 1: CREATE TABLE x AS SELECT f(\n        ^", "models/x.sql:3:", ""),
        ("LINE 1: ...AS SELECT f(\n                     ^", "models/x.sql:3:", FROM_THE_MACRO),
        ("LINE 2:   a), b,\n          ^", "models/x.sql:3:", FROM_THE_MACRO),
        ("LINE 2:   a), b,\n              ^^", "models/x.sql:3:", ""),
        ("LINE 2:   a), b,", "models/x.sql:3:", FROM_THE_MACRO),
        ("LINE 3:   c\n          ^", "models/x.sql:4:", ""),
        ("LINE 9: gone\n        ^", "models/x.sql:4:", ""),
    ],
)
def test_an_error_of_the_warehouse_is_placed_in_the_file_and_a_macros_at_its_call(quoted, place, ending):
    told = placed(WarehouseError(f"Error: no\n\n{quoted}", sql=STATEMENT), node())
    message = str(told.args[0])
    first, _, rest = quoted.partition(":")
    assert message.startswith(f"Error: no\n\n{place}{rest.partition(chr(10))[0]}")
    assert message.endswith(ending)
    assert ("macro" in message) == bool(ending)
    assert told.line == int(place.rstrip(":").rpartition(":")[2])
    if "^" in quoted:
        caret = message.split("\n")[3]
        assert caret.index("^") == quoted.split("\n")[1].index("^") + len(place) - len(first) - 1


def test_an_error_without_a_line_is_one_of_the_query():
    told = placed(WarehouseError("Error: no", sql=STATEMENT), node())
    assert (str(told), told.line) == ("Error: no", 3)


def test_without_macros_lines_are_counted():
    told = placed(WarehouseError("LINE 2: a", sql=STATEMENT), node(()))
    assert (str(told), told.line) == ("models/x.sql:4: a", 4)
