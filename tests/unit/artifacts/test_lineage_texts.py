from __future__ import annotations

import pytest

from sqlbuild.artifacts.lineage_texts import (
    MAX_OF_A_FILE,
    lineage_document,
    lineage_dot,
    lineage_list,
    lineage_mermaid,
    lineage_tree,
)
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.lineage import Edge, Lineage, Point


def columns(*names: str) -> list[Point]:
    return [Point(NodeId(f"model:{node}"), column) for node, column in (name.split(".") for name in names)]


@pytest.fixture
def graph(make_graph, make_node):
    return make_graph(
        make_node("source:raw", path="sources/raw.yml"),
        make_node("model:a", ["source:raw"], path="models/a.sql"),
        make_node("model:b", ["source:raw", "model:a"], path="models/b.sql"),
        make_node("model:c", ["model:a", "model:b"], path="models/c.sql"),
        *(make_node(f"asset:s{number}", ["model:c"], path="assets/slices.py") for number in range(9)),
    )


def points(*ids: str) -> list[Point]:
    return [Point(NodeId(id)) for id in ids]


def test_a_tree_opens_each_node_once(graph):
    raw, a, b, c = points("source:raw", "model:a", "model:b", "model:c")
    found = Lineage(focus=(c,), upstream=(Edge(a, c), Edge(b, c), Edge(raw, a), Edge(raw, b), Edge(a, b)))
    assert lineage_tree(graph, found) == [
        "model c  models/c.sql",
        "├── model a  models/a.sql",
        "│   └── source raw  sources/raw.yml",
        "└── model b  models/b.sql",
        "    ├── source raw  sources/raw.yml",
        "    └── model a  models/a.sql  (already shown)",
    ]


def test_both_ways_have_a_heading_each_and_many_of_one_file_are_counted(graph):
    a, c = points("model:a", "model:c")
    slices = points(*(f"asset:s{number}" for number in range(9)))
    found = Lineage(focus=(c,), upstream=(Edge(a, c),), downstream=tuple(Edge(c, each) for each in slices))
    lines = lineage_tree(graph, found)
    assert lines[:4] == ["model c  models/c.sql", "upstream", "└── model a  models/a.sql", "downstream"]
    assert lines[4:] == [
        *(f"├── asset s{number}  assets/slices.py" for number in range(MAX_OF_A_FILE)),
        "└── 4 more of assets/slices.py; --format list shows them",
    ]


def test_columns_say_what_happens_to_them(graph):
    total, amount, id = columns("c.total", "b.amount", "a.id")
    found = Lineage(focus=(total,), upstream=(Edge(amount, total, "aggregation"), Edge(id, amount, "direct")))
    assert lineage_tree(graph, found) == ["c.total", "└── b.amount  aggregation", "    └── a.id  direct"]
    assert lineage_list(found) == ["b.amount -> c.total   aggregation", "a.id     -> b.amount  direct"]
    assert lineage_mermaid(found) == [
        "flowchart LR",
        '  n1["c.total"]',
        '  n2["b.amount"]',
        '  n3["a.id"]',
        "  n2 -->|aggregation| n1",
        "  n3 -->|direct| n2",
    ]
    assert lineage_dot(found)[3:] == [
        '  "c.total";',
        '  "b.amount";',
        '  "a.id";',
        '  "b.amount" -> "c.total" [label="aggregation"];',
        '  "a.id" -> "b.amount" [label="direct"];',
        "}",
    ]


def test_names_with_quotes_break_neither_diagram():
    (odd,) = [Point(NodeId("model:a"), 'say "hi"\\')]
    assert lineage_mermaid(Lineage(focus=(odd,)))[1] == '  n1["a.say #quot;hi#quot;\\"]'
    assert lineage_dot(Lineage(focus=(odd,)))[3] == '  "a.say \\"hi\\"\\\\";'


def test_the_document_has_every_node_once(graph):
    total, amount = columns("c.total", "c.amount")
    document = lineage_document(graph, Lineage(focus=(total,), upstream=(Edge(amount, total, "cast"),)), "upstream")
    assert [node["id"] for node in document["nodes"]] == ["model:c"]
    assert document["edges"] == [
        {"from": "model:c", "to": "model:c", "from_column": "amount", "to_column": "total", "transform": "cast"}
    ]
    assert (document["schema_version"], document["direction"], document["notes"]) == (1, "upstream", [])
