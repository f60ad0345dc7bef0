from __future__ import annotations

import datetime
import decimal
import logging
import re

import anyio
import pytest

from sqlbuild.assets import asset
from sqlbuild.checks import check
from sqlbuild.errors import (
    MissingAwait,
    ProjectError,
    SqlbuildError,
    UndeclaredDependency,
    UnstorableResult,
    UpstreamHasNoResult,
    WarehouseError,
)
from sqlbuild.loaders import loader
from sqlbuild.refs import model, source
from sqlbuild.retries import RetryPolicy
from sqlbuild.tasks import AsyncTaskContext, task
from sqlbuild.testing import Pool, Result, SkipMode, Status, Verdict, VirtualClock, arun_node, run_node

ORDERS = [{"order_id": 1, "total": 10}, {"order_id": 2, "total": 20}]


@task
def export_orders(ctx):
    return ctx.result({"rows": 3})


@asset(depends_on=(export_orders, model("fact_orders")))
def report(ctx):
    total = ctx.query(f"SELECT sum(total) FROM {ctx.relation(model('fact_orders'))} WHERE total > ?", [5]).scalar()
    upstream = ctx.result_of(export_orders)
    return ctx.result({"total": total, "rows": upstream.payload["rows"]}, {"by": upstream.metadata}, materialized=True)


@asset(depends_on=(export_orders, model("fact_orders")))
async def async_report(ctx):
    total = await ctx.query(f"SELECT sum(total) FROM {ctx.relation(model('fact_orders'))}").scalar()
    return ctx.result({"total": total, "rows": ctx.result_of(export_orders).payload["rows"]}, materialized=False)


def test_a_def_node_reads_what_it_is_given():
    run = run_node(report, results={export_orders: {"rows": 9}}, relations={model("fact_orders"): ORDERS})
    assert (run.status, run.payload, run.materialized) == (Status.SUCCEEDED, {"total": 30, "rows": 9}, True)
    assert run.statements == ('SELECT sum(total) FROM "main"."fact_orders" WHERE total > ?',)
    assert (run.attempts, run.error, run.errors) == (1, None, ())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_node_runs_from_a_plain_test(backend):
    given = {"results": {export_orders: {"rows": 9}}, "relations": {model("fact_orders"): ORDERS}}
    run = run_node(async_report, backend=backend, **given)
    assert (run.payload, run.materialized) == ({"total": 30, "rows": 9}, False)


@pytest.mark.parametrize("node", [report, async_report])
async def test_nodes_run_from_an_async_test(node):
    given = {"results": {export_orders: {"rows": 9}}, "relations": {model("fact_orders"): ORDERS}}
    assert (await arun_node(node, **given)).payload["rows"] == 9


async def test_run_node_in_an_async_test_names_arun_node():
    with pytest.raises(RuntimeError, match="await arun_node"):
        run_node(report)


def test_an_upstream_may_have_metadata_too():
    upstream = Result(payload={"rows": 1}, metadata={"path": "orders.csv"})
    run = run_node(report, results={export_orders: upstream}, relations={model("fact_orders"): ORDERS})
    assert run.metadata == {"by": {"path": "orders.csv"}}


def test_no_database_is_opened_for_a_node_that_reads_none():
    run = run_node(export_orders)
    assert (run.payload, run.statements) == ({"rows": 3}, ())


def test_what_a_node_returns_is_stored_and_read_again():
    @task
    def values(ctx):
        return {"day": datetime.date(2026, 1, 2), "price": decimal.Decimal("1.50"), "pair": (1, 2)}

    assert run_node(values).payload == {"day": "2026-01-02", "price": "1.50", "pair": [1, 2]}


def test_what_is_not_json_fails_as_in_a_run():
    @task
    def values(ctx):
        return {"rows": [{"price": float("nan")}]}

    with pytest.raises(UnstorableResult, match=r'payload\["rows"\]\[0\]\["price"\]'):
        run_node(values)


def test_an_undeclared_upstream_fails_as_in_a_run():
    @task
    def reads(ctx):
        return ctx.result_of(export_orders)

    with pytest.raises(UndeclaredDependency, match="depending on it"):
        run_node(reads, results={export_orders: 1})


def test_an_undeclared_relation_fails_as_in_a_run():
    @task
    def reads(ctx):
        return ctx.relation(source("raw"))

    with pytest.raises(UndeclaredDependency, match="depending on it"):
        run_node(reads, relations={source("raw"): ORDERS})


def test_an_upstream_that_was_not_given_has_no_result():
    with pytest.raises(UpstreamHasNoResult, match="export_orders"):
        run_node(report, relations={model("fact_orders"): ORDERS})


def test_a_forgotten_await_fails_as_in_a_run():
    @task
    async def forgets(ctx):
        ctx.execute_sql("SELECT 1")

    with pytest.raises(MissingAwait, match="never awaited"):
        run_node(forgets)


def test_the_authors_own_exception_is_raised():
    class Unlucky(Exception):
        pass

    failure = Unlucky("not today")

    @task
    def fails(ctx):
        raise failure

    with pytest.raises(Unlucky) as raised:
        run_node(fails)
    assert raised.value is failure
    shown = [frame.name for frame in raised.traceback.filter(raised)]
    assert shown == ["test_the_authors_own_exception_is_raised", "fails"]


def test_a_failure_can_be_looked_at_instead():
    @task
    async def fails(ctx):
        raise ValueError("no")

    run = run_node(fails, raises=False)
    assert run.status is Status.FAILED
    assert isinstance(run.error, ValueError)
    assert run.errors == (run.error,)


def test_a_skip_is_told_with_its_reason():
    @task
    def skips(ctx):
        return ctx.skip("nothing new", mode="hard", metadata={"looked": 3})

    run = run_node(skips)
    assert (run.status, run.skip_reason, run.skip_mode) == (Status.SKIPPED, "nothing new", SkipMode.HARD)
    assert run.metadata == {"looked": 3}


def test_one_attempt_is_made_unless_retries_are_tested():
    @task(retry=RetryPolicy(max_attempts=3, jitter=False))
    async def flaky(ctx):
        if ctx.attempt < 3:
            raise OSError(f"attempt {ctx.attempt}")
        return ctx.attempt

    once = run_node(flaky, raises=False)
    assert (once.attempts, once.status) == (1, Status.FAILED)
    clock = VirtualClock()
    run = run_node(flaky, retry=True, clock=clock)
    assert (run.payload, run.attempts, clock.monotonic()) == (3, 3, 3.0)
    assert [str(error) for error in run.errors] == ["attempt 1", "attempt 2"]
    assert run.error is None


def test_retries_wait_for_nothing_without_a_clock():
    @task(retry=RetryPolicy(max_attempts=5, initial_delay_seconds=3600, max_delay_seconds=36_000))
    def flaky(ctx):
        if ctx.attempt < 5:
            raise OSError

    assert run_node(flaky, retry=True).attempts == 5


def test_variables_and_facts_are_there():
    @task
    def facts(ctx):
        return [ctx.vars["month"], ctx.node_name, ctx.target, ctx.run_id, ctx.attempt]

    assert run_node(facts, vars={"month": 5}).payload == [5, "facts", "test", "test", 1]


def test_logs_and_progress_are_kept_and_prints_are_seen(capsys):
    @task
    def talks(ctx):
        print("printed")
        ctx.log("logged", level="warning", rows=3)
        logging.getLogger("shop").error("recorded")
        ctx.progress(1, total=2, message="half")

    run = run_node(talks)
    assert [(said.level, said.message) for said in run.logs][:2] == [("print", "printed"), ("warning", "logged")]
    assert run.logs[1].fields == {"rows": 3}
    assert ("error", "recorded") in [(said.level, said.message) for said in run.logs]
    assert [(each.done, each.total, each.message) for each in run.progress] == [(1, 2, "half")]
    assert capsys.readouterr().out == "printed\n"


def test_a_pool_that_the_node_declares_is_there():
    @task(pool="crm")
    def exports(ctx):
        return 1

    assert run_node(exports).payload == 1
    assert run_node(exports, pools={"crm": 2, "other": Pool(name="other", slots=1)}).payload == 1


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        (0, "`pools.crm.slots` must be at least 1, not 0"),
        (-1, "`pools.crm.slots` must be at least 1, not -1"),
        ("x", '`pools.crm.slots` must be a whole number, not text "x"'),
        (True, "`pools.crm.slots` must be a whole number, not true"),
        (None, "`pools.crm.slots` is missing"),
        (Pool(slots=0), "`pools.crm.slots` must be at least 1, not 0"),
        (Pool(slots=1, rate=0), "`pools.crm.rate` must be a number above 0"),
        (Pool(slots=1, rate=1, burst=0), "`pools.crm.burst` must be at least 1, not 0"),
        (Pool(slots=1, burst=3), "`pools.crm.burst` needs a rate"),
        (Pool(name="mail", slots=1), "`pools[\"crm\"]` is a Pool of another name: 'mail'"),
    ],
)
def test_a_pool_that_settings_would_not_take_is_refused(pool, said):
    @task(pool="crm")
    def exports(ctx):
        return 1

    with pytest.raises(ProjectError, match=re.escape(said)) as caught:
        run_node(exports, pools={"crm": pool})
    assert all(problem.help for problem in caught.value.problems)


def test_a_pool_has_the_name_under_which_it_is_given():
    @task(pool="crm")
    def exports(ctx):
        with ctx.pool("mail"):
            return 1

    pools = {"crm": Pool(slots=2), "mail": Pool(name="mail", slots=1, rate=5, burst=2)}
    assert run_node(exports, pools=pools).payload == 1


def test_what_compile_refuses_is_refused_here():
    @task
    def wrong(ctx: AsyncTaskContext):
        return 1

    with pytest.raises(ProjectError, match="AsyncTaskContext"):
        run_node(wrong)


def test_a_plain_function_is_no_node():
    def plain(ctx): ...

    with pytest.raises(TypeError, match="plain is not a node"):
        run_node(plain)
    with pytest.raises(TypeError, match="plain is not a node"):
        run_node(export_orders, results={plain: 1})


@asset(depends_on=source("raw"))
async def described(ctx):
    rows = await ctx.query(f"SELECT * FROM {ctx.relation(source('raw'))}").fetchall()
    kinds = await ctx.query(f"DESCRIBE {ctx.relation(source('raw'))}").fetchall()
    return {"rows": rows, "columns": {name: kind for name, kind, *_ in kinds}}


def test_rows_are_dicts_whose_missing_values_are_null():
    rows = [{"id": 1, "day": datetime.date(2026, 1, 2)}, {"id": 2**40, "price": 1.5}]
    run = run_node(described, relations={source("raw"): rows})
    assert run.payload["columns"] == {"id": "BIGINT", "day": "DATE", "price": "DOUBLE"}
    assert run.payload["rows"] == [[1, "2026-01-02", None], [2**40, None, 1.5]]


def test_rows_are_a_select():
    run = run_node(described, relations={source("raw"): "SELECT 1::TINYINT AS id WHERE false"})
    assert run.payload == {"rows": [], "columns": {"id": "TINYINT"}}


@pytest.mark.parametrize("library", ["pyarrow", "pandas", "polars"])
def test_rows_are_a_table_or_a_dataframe(library):
    frames = pytest.importorskip(library)
    table = frames.table({"id": [1, 2]}) if library == "pyarrow" else frames.DataFrame({"id": [1, 2]})
    run = run_node(described, relations={source("raw"): table})
    assert run.payload == {"rows": [[1], [2]], "columns": {"id": "BIGINT"}}


@pytest.mark.parametrize("rows", [[], [{}], [(1, 2)], 3])
def test_rows_that_tell_no_columns_are_refused_before_anything_runs(rows):
    with pytest.raises(TypeError, match="the rows of raw"):
        run_node(described, relations={source("raw"): rows})


def test_a_relation_that_was_not_given_does_not_exist():
    with pytest.raises(WarehouseError, match="raw"):
        run_node(described)


@pytest.mark.parametrize("waits", [True, False])
def test_the_drivers_own_object_is_there(waits):
    @task
    async def asynchronous(ctx):
        return ctx.connection.execute("SELECT 7").fetchone()[0]

    @task
    def plain(ctx):
        return ctx.connection.execute("SELECT 7").fetchone()[0]

    assert run_node(asynchronous if waits else plain).payload == 7


@pytest.mark.parametrize(
    "sql", ["SELECT to_char(now(), 'YYYY')", "SELECT '{}'::jsonb", "SELECT FROM", "SELECT 1 ~~* 2"]
)
def test_sql_of_another_warehouse_is_told_where_it_can_be_tested(sql):
    @task
    def written_for_postgresql(ctx):
        return ctx.query(sql).fetchall()

    with pytest.raises(WarehouseError) as raised:
        run_node(written_for_postgresql)
    assert "on a DuckDB in memory, whatever the project's target is" in raised.value.help


def test_lineage_into_nodes_that_are_not_there_is_left_out():
    @asset(columns=[{"name": "id"}], column_lineage={"id": [{"node": "elsewhere", "column": "id"}]})
    def exports(ctx):
        return 1

    assert run_node(exports).payload == 1


async def test_a_node_that_hangs_can_be_cancelled():
    cleaned = []

    @task
    async def hangs(ctx):
        try:
            await anyio.sleep(3600)
        finally:
            cleaned.append(True)

    with anyio.move_on_after(0.05) as limit:
        await arun_node(hangs)
    assert limit.cancelled_caught
    assert cleaned == [True]


@check(depends_on=model("fact_orders"))
def enough_orders(ctx):
    count = ctx.query(f"SELECT count(*) FROM {ctx.relation(model('fact_orders'))}").scalar()
    return ctx.pass_("enough") if count > 1 else ctx.fail("too few", metadata={"count": count})


def test_a_check_tells_its_verdict():
    passed = run_node(enough_orders, relations={model("fact_orders"): ORDERS})
    assert (passed.status, passed.verdict, passed.message) == (Status.SUCCEEDED, Verdict.PASS, "enough")
    failed = run_node(enough_orders, relations={model("fact_orders"): ORDERS[:1]})
    assert (failed.status, failed.verdict, failed.message) == (Status.FAILED, Verdict.FAIL, "too few")
    assert (failed.metadata, failed.error) == ({"count": 1}, None)


def test_what_a_check_raises_is_raised_whatever_its_severity():
    @check(depends_on=export_orders, severity="warn")
    async def broken(ctx):
        raise ValueError("no verdict")

    with pytest.raises(ValueError, match="no verdict"):
        run_node(broken)
    assert run_node(broken, raises=False).status is Status.WARNED


def test_a_loader_gives_the_rows_of_its_table():
    @loader
    def raw_orders(ctx):
        yield {"order_id": 1, "status": "placed"}
        yield [{"order_id": 2, "status": None}]

    assert run_node(raw_orders).rows == ({"order_id": 1, "status": "placed"}, {"order_id": 2, "status": None})


def test_a_loader_finds_what_its_table_holds_already():
    @loader(write_strategy="merge", unique_key="order_id", cursor_column="order_id")
    async def raw_orders(ctx):
        yield {"order_id": ctx.current_cursor_value, "status": "again" if ctx.is_reload else "completed"}

    held = {source("raw_orders"): [{"order_id": 1, "status": "placed"}, {"order_id": 2, "status": "placed"}]}
    run = run_node(raw_orders, relations=held)
    assert sorted(run.rows, key=lambda row: row["order_id"])[1] == {"order_id": 2, "status": "completed"}
    assert len(run.rows) == 2
    assert {"order_id": 2, "status": "again"} in run_node(raw_orders, relations=held, reload=True).rows


def test_other_nodes_have_no_rows():
    assert run_node(export_orders).rows is None


@pytest.mark.parametrize("waits", [True, False])
def test_what_stands_for_a_provider_is_handed_over_as_it_is(waits):
    client = object()
    seen = []

    @task
    async def asynchronous(ctx, crm_client):
        seen.extend([crm_client, ctx.providers.crm_client])

    @task
    def plain(ctx, crm_client):
        seen.extend([crm_client, ctx.providers.crm_client])

    run_node(asynchronous if waits else plain, providers={"crm_client": client})
    assert seen == [client, client]
    with pytest.raises(ProjectError, match="crm_client"):
        run_node(plain)


def test_checkpoints_are_given_and_kept():
    @task
    def goes_on(ctx):
        page = ctx.checkpoints.get("page", 0)
        ctx.checkpoint("page", page + 1)
        return page

    run = run_node(goes_on, checkpoints={"page": 7, "other": [1]})
    assert (run.payload, run.checkpoints) == (7, {"page": 8, "other": [1]})
    assert run_node(goes_on).checkpoints == {"page": 1}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_rates_go_by_the_virtual_clock(backend):
    @task
    async def pushes(ctx):
        async def push(number):
            async with ctx.pool("crm"):
                return number

        return await ctx.map(push, range(61))

    clock = VirtualClock()
    pools = {"crm": Pool(name="crm", slots=8, rate=1)}
    assert run_node(pushes, pools=pools, clock=clock, backend=backend).payload == list(range(61))
    assert clock.monotonic() == pytest.approx(60)


def test_an_unknown_pool_fails_as_in_a_run():
    @task
    def pushes(ctx):
        with ctx.pool("crm"):
            return 1

    with pytest.raises(SqlbuildError, match="crm"):
        run_node(pushes)


def test_a_node_for_a_process_of_its_own_runs_in_this_one():
    ran = []

    @task(isolate="process", timeout=30)
    def computes(ctx):
        ran.append(True)

    run_node(computes)
    assert ran == [True]


@asset(depends_on=model("elsewhere"), pool="crm", column_lineage={"id": [{"node": "elsewhere", "column": "id"}]})
def exported_before(ctx, crm_client): ...


@loader(write_strategy="append", depends_on=export_orders)
def loaded_before(ctx): ...


@pytest.mark.parametrize("upstream", [exported_before, loaded_before, export_orders])
def test_what_an_upstream_needs_is_not_needed(upstream):
    @task(depends_on=upstream)
    def reads(ctx):
        result = ctx.result_of(upstream)
        return [result.payload, result.run_id == ctx.run_id]

    assert run_node(reads, results={upstream: 5}).payload == [5, True]
