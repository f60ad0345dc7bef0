"""Checks in real projects: beside other nodes, alone, selected, warned and failed."""

from __future__ import annotations

import json

import pytest

SHOP = {
    "models/orders.sql": """
        MODEL (materialized table);
        SELECT * FROM (VALUES (1, 10), (2, NULL)) AS t(order_id, total)
        """,
    "models/customers.sql": "MODEL (materialized table);\nSELECT 1 AS customer_id\n",
    "tasks/notify.py": """
        from sqlbuild.refs import model
        from sqlbuild.tasks import task

        @task(depends_on=model("orders"))
        def notify(ctx): ...
        """,
    "checks/orders.py": """
        from sqlbuild.checks import AsyncCheckContext, CheckContext, check
        from sqlbuild.refs import model
        from tasks.notify import notify

        def rows(ctx, where):
            relation = ctx.relation(model("orders"))
            return ctx.query(f"SELECT count(*) FROM {relation} WHERE {where}")

        @check(depends_on=model("orders"), tags=["nightly"])
        async def orders_not_empty(ctx: AsyncCheckContext):
            count = await rows(ctx, "true").scalar()
            return ctx.pass_(f"{count} orders", metadata={"rows": count})

        @check(depends_on=(model("orders"), model("customers")), severity="warn")
        def totals_are_known(ctx: CheckContext):
            count = rows(ctx, "total IS NULL").scalar()
            return ctx.fail(f"{count} orders without a total", metadata={"rows": count})

        @check(depends_on=notify)
        def notified(ctx):
            return ctx.result_of(notify).status == "succeeded"
        """,
}


@pytest.fixture
def shop(project):
    return project.write(SHOP)


def test_a_build_runs_the_checks_of_what_it_builds(shop):
    built = shop.build()
    assert shop.statuses() == {
        "model:orders": "succeeded",
        "model:customers": "succeeded",
        "task:notify": "succeeded",
        "check:orders_not_empty": "succeeded",
        "check:totals_are_known": "warned",
        "check:notified": "succeeded",
    }
    assert "check orders_not_empty" in built.out
    assert '2 orders  {"rows":2}' in built.out
    assert "totals_are_known: 1 orders without a total" in built.out
    assert "5 succeeded, 1 warned" in built.out
    assert shop.result("totals_are_known")["payload"] == {"verdict": "fail", "message": "1 orders without a total"}


def test_a_selection_takes_its_checks_with_it_and_no_audits_leaves_them(shop):
    shop.build()
    shop.build("customers")
    assert set(shop.statuses()) == {"model:customers", "check:totals_are_known"}
    shop.build("customers", "--no-audits")
    assert set(shop.statuses()) == {"model:customers"}
    shop.build("tag:nightly")
    assert set(shop.statuses()) == {"check:orders_not_empty"}


def test_checks_run_alone_against_what_exists(shop):
    missing = shop.sqb("check")
    assert missing.code == 2
    assert "needs model:orders, which is not in this target" in missing.err
    shop.build("--no-audits")
    checked = shop.sqb("check")
    assert checked.code == 0, checked.everything
    assert set(shop.statuses()) == {"check:orders_not_empty", "check:totals_are_known", "check:notified"}
    document = shop.sqb("check", "customers", "--json").json
    assert [(result["id"], result["status"]) for result in document["results"]] == [
        ("check:totals_are_known", "warned")
    ]


def test_a_failed_check_fails_the_run_blocks_nothing_and_is_run_again_by_what_the_summary_proposes(shop):
    shop.write({"checks/strict.py": SHOP["checks/orders.py"].replace(', severity="warn"', "").replace("def ", "def strict_")
                .replace("strict_rows", "rows")})  # fmt: skip
    failed = shop.sqb("build")
    assert failed.code == 1
    assert shop.statuses()["task:notify"] == "succeeded"
    assert "checks/strict.py:" in failed.out
    assert "CheckFailed: 1 orders without a total" in failed.out
    assert "next: sqb retry" in failed.out
    assert shop.sqb("retry").code == 1
    assert set(shop.statuses()) == {"check:strict_totals_are_known"}


def test_what_a_check_said_can_be_seen_later(shop):
    shop.build()
    shown = shop.sqb("show", "orders_not_empty").out
    assert 'verdict: pass\nmessage: 2 orders\nmetadata: {"rows":2}\n' in shown
    shown = shop.sqb("show", "totals_are_known").out
    assert "severity" in shown
    assert "message: 1 orders without a total" in shown
    rows = shop.rows("SELECT status, payload FROM main._sqlbuild_node_results WHERE node_name = 'orders_not_empty'")
    assert [(status, json.loads(payload)["message"]) for status, payload in rows] == [("succeeded", "2 orders")]


def test_an_exception_in_a_check_that_warns_shows_its_traceback_and_lets_the_run_succeed(project):
    project.write({
        "models/a.sql": "MODEL ();\nSELECT 1 AS one\n",
        "python/ok.py": """
            from sqlbuild.checks import check
            from sqlbuild.refs import model

            @check(depends_on=model("a"), severity="warn")
            async def ok(ctx):
                raise LookupError("no such thing")
            """,
    })  # fmt: skip
    built = project.build()
    assert "LookupError: no such thing" in built.out
    assert 'raise LookupError("no such thing")' in built.out
    assert project.statuses()["check:ok"] == "warned"
    assert project.sqb("plan", "ok").out.count("last run failed") == 0


def test_what_may_not_depend_on_what_is_told_at_compile(shop):
    shop.write({"tasks/after.py": """
        from checks.orders import orders_not_empty
        from sqlbuild.tasks import task

        @task(depends_on=orders_not_empty)
        def after(ctx): ...
        """})  # fmt: skip
    compiled = shop.sqb("compile")
    assert compiled.code == 2
    assert "error[CHECK_BOUNDARY] tasks/after.py:5: after depends on the check orders_not_empty" in compiled.err


def test_a_project_without_checks_has_nothing_to_check(project):
    project.write({"models/a.sql": "MODEL ();\nSELECT 1 AS one\n"})
    checked = project.sqb("check")
    assert checked.code == 2
    assert "there is no check in this project" in checked.err
    assert project.sqb("check", "--allow-empty").code == 0
