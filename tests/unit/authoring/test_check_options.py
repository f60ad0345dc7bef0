from __future__ import annotations

import pytest

from sqlbuild.authoring.declare import declaration_of
from sqlbuild.checks import Severity, check
from sqlbuild.domain.nodes import Check
from sqlbuild.errors import DeclarationError
from sqlbuild.refs import model, source
from sqlbuild.tasks import task

ORDERS = model("orders")


def test_a_check_says_what_it_looks_at_and_how_severe_it_is():
    @task
    def notify(ctx): ...

    @check(depends_on=(ORDERS, source("raw"), notify), severity="warn", tags=["daily"], pool="api", dry_run=True)
    def orders_ok(ctx):
        """Every order has a customer."""

    declaration = declaration_of(orders_ok)
    assert isinstance(declaration, Check)
    assert declaration.severity is Severity.WARN
    declared = declaration.declared
    assert declared.depends_on == (ORDERS, source("raw"), notify)
    assert (declared.name, declared.description) == ("orders_ok", "Every order has a customer.")
    assert (declared.tags, declared.pools, declared.dry_run) == (("daily",), ("api",), True)
    assert declared.requires == "all", "a skip among what it looks at skips it"


@pytest.mark.parametrize("severity", ["error", Severity.ERROR, None])
def test_without_more_a_failure_is_an_error(severity):
    @check(depends_on=ORDERS, severity=severity)
    def orders_ok(ctx): ...

    assert declaration_of(orders_ok).severity is Severity.ERROR


@pytest.mark.parametrize("options", [{}, {"depends_on": None}, {"depends_on": ()}, {"depends_on": []}])
def test_a_check_of_nothing_is_refused(options):
    with pytest.raises(DeclarationError, match="@check: depends_on: a check must say what it checks"):

        @check(**options)
        def orders_ok(ctx): ...


def test_a_check_without_brackets_is_refused_for_the_same_reason():
    with pytest.raises(DeclarationError, match=r"help: for example @check\(depends_on=model"):

        @check
        def orders_ok(ctx): ...


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"severity": "fatal"}, 'severity: unknown value "fatal"'),
        ({"severity": 1}, "severity: unknown value 1"),
        ({"retry": 3}, 'unknown parameter "retry"'),
        ({"requires": "any"}, 'unknown parameter "requires"'),
        ({"columns": [{"name": "a"}]}, "columns: checks have no columns; use @asset"),
        ({"timeout": 3}, "timeout: a `def` runs on a thread"),
    ],
)
def test_what_a_check_does_not_take_is_refused(options, message):
    with pytest.raises(DeclarationError) as caught:

        @check(depends_on=ORDERS, **options)
        def orders_ok(ctx): ...

    assert message in str(caught.value)


def test_a_generator_cannot_be_a_check():
    with pytest.raises(DeclarationError, match="a generator"):

        @check(depends_on=ORDERS)
        def orders_ok(ctx):
            yield True
