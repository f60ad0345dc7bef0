from __future__ import annotations

from sqlbuild.assets import asset
from sqlbuild.checks import check
from sqlbuild.domain.nodes import LoadSettings
from sqlbuild.loaders import loader
from sqlbuild.refs import model
from sqlbuild.tasks import task


@check(depends_on=model("orders"))
def orders_ok(ctx): ...


def test_a_check_may_look_at_models_sources_tasks_and_assets(make):
    @task
    def notify(ctx): ...

    @asset
    def export(ctx): ...

    @check(depends_on=(model("orders"), notify, export))
    def all_of_it(ctx): ...

    assert make.problems(make.project(make.model("orders"), notify, export, all_of_it)) == ()


def test_nothing_depends_on_a_check(make):
    @asset(depends_on=orders_ok)
    def export(ctx): ...

    @check(depends_on=orders_ok)
    def again(ctx): ...

    found = make.problems(make.project(make.model("orders"), orders_ok, export, again))
    assert [problem.code for problem in found] == ["CHECK_BOUNDARY", "CHECK_BOUNDARY"]
    assert found[0].message.startswith("export depends on the check orders_ok: checks come last, an asset cannot wait")
    assert "a check cannot wait" in found[1].message


def test_a_check_looks_at_a_source_and_not_at_the_loader_that_fills_it(make):
    @loader
    def raw_orders(ctx): ...

    @check(depends_on=raw_orders)
    def raw_ok(ctx): ...

    found = make.problems(make.project(make.source("raw_orders", load=LoadSettings()), raw_orders, raw_ok))
    assert [(problem.code, problem.help) for problem in found] == [
        ("CHECK_BOUNDARY", 'check the source: depends_on=source("raw_orders")')
    ]


def test_the_severity_of_a_check_counts_for_its_fingerprint(make):
    def total(severity):
        @check(depends_on=model("orders"), severity=severity)
        def ok(ctx): ...

        return make.graph(make.project(make.model("orders"), ok)).nodes["check:ok"].fingerprint.total

    assert total("error") == total(None) != total("warn")
