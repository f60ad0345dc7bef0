"""Every statement of `tests/fixtures/hard_statements.sql` finds what it reads, and its columns where they can be known."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from sqlbuild.domain.columns import Column
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.nodes import Source
from sqlbuild.errors import Problem
from sqlbuild.project.model_fields import ModelFields
from sqlbuild.project.read_sql import read_model
from sqlbuild.project.text_file import TextFile

FILE = Path(__file__).parents[2] / "fixtures" / "hard_statements.sql"
STATEMENT = re.compile(r"^-- (\w+) (\w+): reads (.+); gives (.+)\n((?:.+\n)+)", re.MULTILINE)
SOURCES = {
    "orders": {
        "id": "int",
        "customer_id": "int",
        "amount": "decimal(10,2)",
        "status": "varchar",
        "created_at": "timestamp",
        "items": "int[]",
    },
    "customers": {"id": "int", "name": "varchar", "country": "varchar", "email": "varchar"},
    "payments": {"order_id": "int", "paid": "decimal(10,2)", "at": "timestamp", "meta": "json"},
    "a": {"x": "int", "y": "int"},
    "b": {"x": "int", "z": "int"},
}
NO_DEFAULTS: ModelFields = {}


@dataclasses.dataclass(frozen=True)
class Statement:
    dialect: str
    name: str
    reads: frozenset[str]
    gives: tuple[str, ...] | None
    sql: str


def listed(text: str, nothing: str) -> tuple[str, ...]:
    return () if text == nothing else tuple(text.split(", "))


STATEMENTS = [
    Statement(dialect, name, frozenset(listed(reads, "nothing")), listed(gives, "?") or None, sql)
    for dialect, name, reads, gives, sql in STATEMENT.findall(FILE.read_text())
]


def test_the_file_has_all_of_them():
    assert len(STATEMENTS) > 60


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda each: f"{each.dialect}-{each.name}")
def test_what_it_reads_and_gives_is_found(statement: Statement, make):
    problems: list[Problem] = []
    model = read_model(TextFile("models/m.sql", statement.sql), NO_DEFAULTS, problems)
    sources: list[Source] = [
        make.source(name, table=name, columns=tuple(Column(name=key, type=value) for key, value in columns.items()))
        for name, columns in SOURCES.items()
    ]
    project = make.project(*sources, model, settings=make.settings(adapter=statement.dialect), problems=problems)
    node = make.graph(project).nodes[NodeId("model:m")]
    assert {upstream.removeprefix("source:") for upstream in node.depends_on} == statement.reads
    assert (None if node.columns is None else tuple(column.name for column in node.columns)) == statement.gives
