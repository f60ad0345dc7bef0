from __future__ import annotations

from sqlbuild.domain.nodes import Severity


def of(target: str, *others: str) -> str:
    return " JOIN ".join([f"SELECT 1 FROM {target}", *others])


ORDERS, CUSTOMERS = '__ref("orders")', '__ref("customers")'


def test_what_an_audit_reads_comes_before_its_model_and_depends_on_nothing_more(make):
    graph = make.graph(
        make.project(
            make.model("orders"),
            make.audit("orders.known", of(ORDERS, CUSTOMERS), "model:orders"),
            make.model("customers"),
        )
    )
    assert list(graph.nodes) == ["model:customers", "model:orders", "audit:orders.known"]
    assert graph.nodes["model:orders"].depends_on == ()
    assert graph.nodes["audit:orders.known"].depends_on == ("model:orders", "model:customers")
    assert graph.audits == {"model:orders": ("audit:orders.known",)}


def test_audits_of_a_source_come_before_whatever_reads_it(make):
    graph = make.graph(
        make.project(
            make.model("staged", 'SELECT 1 AS one FROM __source("raw")'),
            make.source("raw", table="raw"),
            make.audit("raw.not_null(id)", 'SELECT 1 FROM __source("raw")', "source:raw"),
        )
    )
    assert list(graph.nodes) == ["source:raw", "audit:raw.not_null(id)", "model:staged"]


def test_an_audit_that_reads_what_is_built_from_its_target_is_an_error_whatever_its_severity(make):
    for severity in Severity:
        (problem,) = make.problems(
            make.project(
                make.model("orders"),
                make.model("summary", 'SELECT one FROM __ref("middle")'),
                make.model("middle", 'SELECT one FROM __ref("orders")'),
                make.audit("orders.known", of(ORDERS, '__ref("summary")'), "model:orders", severity=severity),
            )
        )
        assert (problem.code, problem.path, problem.line) == ("AUDIT_CYCLE", "models/somewhere.sql", 3)
        assert (
            "orders.known reads summary, which is built from orders: orders -> summary -> middle -> orders"
            in problem.message
        )
        assert "audits/singular/" in problem.help


def test_audits_whose_models_would_wait_for_each_other_are_an_error(make):
    (problem,) = make.problems(
        make.project(
            make.model("orders"),
            make.model("customers"),
            make.audit("orders.known", of(ORDERS, CUSTOMERS), "model:orders"),
            make.audit("customers.active", of(CUSTOMERS, ORDERS), "model:customers"),
        )
    )
    assert problem.code == "AUDIT_CYCLE"
    assert "wait for each other: orders -> customers -> orders" in problem.message


def test_an_audit_of_a_source_reads_nothing_that_is_built_from_it(make):
    (problem,) = make.problems(
        make.project(
            make.source("raw", table="raw"),
            make.model("staged", 'SELECT 1 AS one FROM __source("raw")'),
            make.audit("raw.known", of('__source("raw")', '__ref("staged")'), "source:raw"),
        )
    )
    assert problem.code == "AUDIT_CYCLE"
    assert "raw.known reads staged, which is built from raw" in problem.message


def test_a_circle_of_dependencies_is_told_as_one_with_audits_or_without(make):
    (problem,) = make.problems(
        make.project(
            make.model("a", 'SELECT 1 AS one FROM __ref("b")'),
            make.model("b", 'SELECT 1 AS one FROM __ref("a")'),
            make.audit("a.known", 'SELECT 1 FROM __ref("a")', "model:a"),
        )
    )
    assert problem.code == "CYCLE"
