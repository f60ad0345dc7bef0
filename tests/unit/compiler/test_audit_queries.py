from __future__ import annotations

import dataclasses

import pytest

from sqlbuild.domain.ids import Place


def compiled(make, sql: str, target: str | None = "model:orders", **fields):
    graph = make.graph(
        make.project(
            make.source("raw", expression="SELECT 1 AS id"),
            make.model("orders", "SELECT 1 AS id", alias="Order Table"),
            make.model("customers", "SELECT 1 AS id"),
            make.audit("known", sql, target, **fields),
        )
    )
    return graph.nodes["audit:known"]


def test_the_target_stands_between_the_pieces_of_an_audit_and_keeps_its_name_there(make):
    node = compiled(
        make,
        'SELECT o.id FROM __ref("orders") AS o WHERE id NOT IN (SELECT id FROM __ref("orders") WHERE id > 0)\n'
        'AND NOT EXISTS (FROM __ref("customers"))',
    )
    assert node.around_target == (
        "SELECT o.id FROM ",
        " AS o WHERE id NOT IN (SELECT id FROM ",
        ' AS "Order Table" WHERE id > 0)\nAND NOT EXISTS (FROM "dev"."customers")',
    )
    assert node.sql == '"dev"."Order Table"'.join(node.around_target)


def test_an_audit_of_a_source_reads_it_where_it_is(make):
    node = compiled(make, 'SELECT id FROM __source("raw") WHERE id IS NULL', "source:raw")
    assert node.around_target == ()
    assert node.sql == 'SELECT id FROM (SELECT 1 AS id) AS "raw" WHERE id IS NULL'


def test_a_singular_audit_has_no_target(make):
    node = compiled(make, 'SELECT 1 FROM __ref("orders") JOIN __ref("customers") USING (id)', None)
    assert node.depends_on == ("model:orders", "model:customers")
    assert node.around_target == ()


@pytest.mark.parametrize(
    ("sql", "code"),
    [('SELECT idd FROM __ref("orders")', "UNKNOWN_COLUMN"), ('SELECT FROM WHERE __ref("orders")', "SQL_SYNTAX")],
)
def test_what_was_written_for_an_audit_is_looked_into(make, sql, code):
    project = make.project(make.model("orders", "SELECT 1 AS id"), make.audit("known", sql, "model:orders"))
    (problem,) = make.problems(project)
    assert (problem.code, problem.path, problem.line) == (code, "audits/generic/a.sql", 5)
    assert "known, attached at models/somewhere.sql:3:7: " in problem.message
    unchecked = make.audit("known", sql, "model:orders", sql_analysis=False)
    assert make.problems(make.project(make.model("orders", "SELECT 1 AS id"), unchecked)) == ()


def test_an_audit_that_reads_what_there_is_not_is_told(make):
    (problem,) = make.problems(make.project(make.audit("known", 'SELECT 1 FROM __ref("ordres")')))
    assert (problem.code, problem.message) == (
        "UNKNOWN_REFERENCE",
        'known reads __ref("ordres"), but there is no model "ordres"',
    )


def test_the_fingerprint_of_an_audit_changes_with_its_query_its_severity_and_what_it_looks_at(make):
    def total(model="SELECT 1 AS id", sql='SELECT id FROM __ref("orders")', **fields):
        graph = make.graph(
            make.project(make.model("orders", model), make.audit("known", sql, "model:orders", **fields))
        )
        return graph.nodes["audit:known"].fingerprint.total, graph.nodes["model:orders"].fingerprint.total

    first, model = total()
    assert total(description="a word") == (first, model)
    assert total(sql='SELECT id + 1 FROM __ref("orders")')[0] != first
    assert total(sql='SELECT id + 1 FROM __ref("orders")')[1] == model
    assert total(severity=type(compiled(make, "SELECT 1").declaration.severity).WARN)[0] != first
    assert total(model="SELECT 2 AS id")[0] != first


RELATIONSHIPS = """SELECT child.* FROM __ref("orders") AS child
WHERE child.id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM __ref("customers") AS parent WHERE parent.{} = child.{})"""


@pytest.mark.parametrize(
    ("field", "column", "told"),
    [
        ("id", "id", []),
        ("idd", "id", ["known: unknown column idd in parent (customers)"]),
        # Told where the column is declared.
        ("id", "other", []),
    ],
)
def test_the_field_of_relationships_is_there(make, field, column, told):
    audit = make.audit("known", RELATIONSHIPS.format(field, column), "model:orders")
    built_in = dataclasses.replace(audit, definition="relationships", sql_place=Place("", 1, 1))
    problems = make.problems(
        make.project(make.model("orders", "SELECT 1 AS id"), make.model("customers", "SELECT 1 AS id"), built_in)
    )
    assert [each.message for each in problems] == told
    assert all(str(audit.place).startswith(f"{each.path}:{each.line}:") for each in problems)
