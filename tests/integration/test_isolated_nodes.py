"""Everything that a node can do on a thread, done in a worker process."""

from __future__ import annotations

import pytest

NUMBERS = """
    MODEL (materialized table);
    SELECT
      i AS id, i * 1.5 AS price, DATE '2024-01-01' + i::INT AS day, TIMESTAMPTZ '2024-01-01 00:00:00Z' AS moment,
      '6d6e1f8c-3b0a-4b8e-8b0a-000000000000'::UUID AS code, 'x'::BLOB AS raw, [i, 2] AS list, {'a': i} AS struct,
      'red'::ENUM ('red', 'green') AS colour
    FROM range(20000) t(i)
"""
NODES = """
    import logging, os, sys
    from sqlbuild.assets import asset, AssetContext
    from sqlbuild.refs import model
    from sqlbuild.tasks import task, TaskContext

    @task
    def first(ctx):
        return {"n": (1, 2)}

    def everything(ctx):
        numbers = ctx.relation(model("numbers"))
        rows = ctx.query(f"SELECT * FROM {numbers} ORDER BY id").fetchall()
        some = ctx.query(f"SELECT id FROM {numbers} WHERE id < ? ORDER BY id", [5])
        table = ctx.query(f"SELECT * FROM {numbers} ORDER BY id").arrow()
        for query in (ctx.query(f"SELECT * FROM {numbers}") for _ in range(20)):
            query.fetchone()
        ctx.execute_sql(f"CREATE OR REPLACE TABLE made_by_{ctx.node_name} AS SELECT $a AS a", {"a": 42})
        ctx.progress(1, 2, "half")
        ctx.log("said", level="warning", number=3, thing=object)
        logging.getLogger("library").warning("logged %s", 3)
        print("printed")
        os.write(1, b"written\\n")
        with ctx.pool("api"):
            doubled = ctx.map(lambda item: item * 2, range(50), limit=8, pool="disk", key=lambda item: item)
        ctx.checkpoint("seen", [1, 2])
        errors = []
        for wrong in (
            lambda: ctx.query("SELECT nothing"  ).fetchall(),
            lambda: ctx.relation(model("other")),
            lambda: ctx.result_of(other),
            lambda: ctx.pool("unknown").__enter__(),
            lambda: ctx.vars["unknown"],
        ):
            try:
                wrong()
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}".replace(ctx.node_name, "this node"))
        return ctx.result(
            {
                "rows": len(rows), "row": [repr(value) for value in rows[1]],
                "some": [some.fetchone(), some.fetchmany(2), list(some)],
                "scalar": ctx.query(f"SELECT count(*) FROM {numbers}").scalar(),
                "batches": sum(batch.num_rows for batch in ctx.query(f"SELECT * FROM {numbers}").batches(7000)),
                "table": [table.num_rows, str(table.schema), table.slice(1, 1).to_pylist()[0]["colour"]],
                "result_of": [ctx.result_of(first).payload, ctx.result_of(first).status],
                "results_of": [result.payload for result in ctx.results_of(first, limit=2)],
                "doubled": doubled, "checkpoints": dict(ctx.checkpoints), "vars": dict(ctx.vars),
                "facts": [ctx.attempt, ctx.target, len(ctx.run_id), ctx.dry_run, ctx.is_reload],
                "key": len(ctx.idempotency_key), "errors": errors,
            },
            metadata={"kind": "all"},
        )

    @task
    def other(ctx): ...

    @task(depends_on=[first, model("numbers")])
    def on_a_thread(ctx: TaskContext):
        return everything(ctx)

    @task(isolate="process", depends_on=[first, model("numbers")])
    def in_a_process(ctx: TaskContext):
        assert os.getpid() != os.getppid()
        return everything(ctx)
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_node_sees_and_does_the_same_on_a_thread_and_in_a_process(project, backend):
    project.write(
        {
            "sqlbuild_project.toml": """
                name = "shop"
                [vars]
                day = "2024-01-01"
                deep = { list = [1, 2] }
                [pools.api]
                slots = 1
                [pools.disk]
                slots = 2
            """,
            "models/numbers.sql": NUMBERS,
            "tasks/t.py": NODES,
        }
    )
    project.build("--backend", backend)
    on_a_thread, in_a_process = project.result("on_a_thread"), project.result("in_a_process")
    assert in_a_process["payload"] == on_a_thread["payload"]
    assert in_a_process["metadata"] == {"kind": "all"}
    assert project.rows("SELECT a FROM made_by_in_a_process") == [(42,)]
    (log,) = project.root.glob("target/runs/*/logs/in_a_process.1.log")
    said = log.read_text()
    assert all(words in said for words in ("said", "logged 3", "printed", "written"))


def test_the_connection_belongs_to_another_process(project):
    source = 'from sqlbuild.tasks import task\n\n@task(isolate="process")\ndef node(ctx): ctx.connection\n'
    project.write({"tasks/t.py": source})
    assert project.sqb("build").code == 1
    error = project.result("node")["error"]
    assert "another process" in error["message"]
    assert "ctx.query" in error["help"]
    assert error["line"] == 4


def test_loaders_checks_and_providers_have_processes_too(project):
    project.write(
        {
            "sources/s.yml": """
                sources:
                  - name: orders
                    managed: true
                    write_strategy: append
                  - name: prices
                    managed: true
            """,
            "providers/clients.py": """
                import os, pathlib
                from sqlbuild.providers import Provider

                class CrmClient(Provider):
                    async def setup(self, ctx):
                        self._process = os.getpid()
                    async def teardown(self):
                        pathlib.Path(f"closed_{self._process}").touch()
                        raise ValueError("it does not close")
                    def process(self):
                        return self._process
            """,
            "loaders/l.py": """
                import datetime
                from decimal import Decimal
                import pyarrow
                from sqlbuild.loaders import loader

                @loader(isolate="process")
                def orders(ctx):
                    for number in range(100_000):
                        yield {"id": number, "price": Decimal("1.5"), "at": datetime.datetime(2024, 1, 1)}

                @loader(isolate="process", depends_on=orders)
                def prices(ctx):
                    assert ctx.loader(orders).max("id") == 99_999
                    return pyarrow.table({"a": [1, 2], "b": pyarrow.array(["x", "y"]).dictionary_encode()})
            """,
            "models/counted.sql": 'SELECT count(*) AS n FROM __source("orders"), __source("prices")\n',
            "checks/c.py": """
                from sqlbuild.checks import check
                from sqlbuild.refs import model

                @check(depends_on=model("counted"), isolate="process", severity="warn")
                def enough(ctx):
                    found = ctx.query(f"SELECT n FROM {ctx.relation(model('counted'))}").scalar()
                    return ctx.fail(f"only {found}")
            """,
            "tasks/t.py": """
                import os
                from sqlbuild.tasks import task

                @task(isolate="process")
                def uses(ctx, crm_client):
                    return [os.getpid(), crm_client.process(), ctx.providers.crm_client is crm_client]

                @task(isolate="process", depends_on=uses)
                def uses_again(ctx, crm_client):
                    return crm_client.process()
            """,
        }
    )
    finished = project.build("--threads", "1")
    assert project.rows("SELECT n FROM counted") == [(200_000,)]
    assert project.result("enough")["status"] == "warned"
    worker, of_client, is_same = project.result("uses")["payload"]
    assert (worker, is_same) == (of_client, True)
    assert project.result("uses_again")["payload"] == worker, "there is one in each worker"
    assert (project.root / f"closed_{worker}").exists()
    assert "the provider crm_client could not be closed: ValueError: it does not close" in finished.out


def test_exceptions_arrive_with_type_cause_and_line_and_are_retried_by_their_class(project):
    project.write(
        {
            "tasks/_errors.py": """
                class Refused(LookupError):
                    def __init__(self, status, text):
                        super().__init__(f"{status} {text}")
            """,
            "tasks/t.py": """
                from sqlbuild.retries import RetryAfter, RetryPolicy
                from sqlbuild.tasks import task
                from tasks._errors import Refused

                @task(isolate="process", retry=RetryPolicy(max_attempts=2, retry_on=Refused, initial_delay_seconds=0))
                def refused(ctx):
                    if ctx.attempt == 1:
                        raise Refused(503, "later")
                    try:
                        {}["key"]
                    except KeyError as error:
                        raise ValueError("no key") from error

                @task(isolate="process", retry=RetryPolicy(max_attempts=3, retry_on=OSError, initial_delay_seconds=0))
                def not_covered(ctx):
                    raise Refused(404, "never")

                @task(isolate="process", retry=RetryPolicy(max_attempts=2, initial_delay_seconds=0, jitter=False))
                def asked_to_wait(ctx):
                    if ctx.attempt == 1:
                        raise RetryAfter(0.3)
            """,
        }
    )
    finished = project.sqb("build")
    assert finished.code == 1
    result = project.result("refused")
    assert [error["type"] for error in result["retried"]] == ["tasks._errors.Refused"]
    assert (result["error"]["type"], result["error"]["message"], result["error"]["line"]) == (
        "ValueError",
        "no key",
        13,
    )
    assert "KeyError" in result["error"]["traceback"]
    assert "direct cause" in result["error"]["traceback"]
    assert project.result("not_covered")["attempt"] == 1
    assert project.result("not_covered")["error"]["type"] == "tasks._errors.Refused"
    assert "asked_to_wait" in finished.out
    assert "in 300 ms" in finished.out


HOSTILE = {
    "not_a_number": ("float('nan')", "UnstorableResult"),
    "raw_bytes": ("b'x'", "UnstorableResult"),
    "too_deep": ("deep()", "UnstorableResult"),
    "too_large": ("'x' * 2_000_000", "UnstorableResult"),
    "hostile": ("Hostile()", "UnstorableResult"),
    "a_cycle": ("cycle()", "UnstorableResult"),
    "a_date": ("datetime.date(2024, 1, 1)", None),
}
WORDS = """
    import datetime
    from sqlbuild.tasks import task

    class Hostile:
        def __repr__(self): raise RuntimeError("no repr")
        __str__ = __repr__

    def deep():
        value = []
        for _ in range(5000):
            value = [value]
        return value

    def cycle():
        value = []
        value.append(value)
        return value

    async def a_coroutine(): ...
"""


def test_what_cannot_be_stored_fails_its_node_wherever_it_runs(project):
    kinds = {"thread": "@task", "process": '@task(isolate="process")', "loop": "@task\n    async"}
    values = {**{name: value for name, (value, _) in HOSTILE.items()}, "not_awaited": "a_coroutine()"}
    nodes = [
        f"\n    {head} def {name}_{kind}(ctx):\n        return {value}\n".replace(
            "@task def", "@task\n    def"
        ).replace(") def", ")\n    def")
        for kind, head in kinds.items()
        for name, value in values.items()
    ]
    project.write({"tasks/t.py": WORDS + "".join(nodes)})
    finished = project.sqb("build")
    assert finished.code == 1
    for kind in kinds:
        for name, (_, wrong) in {**HOSTILE, "not_awaited": ("", "MissingAwait")}.items():
            result = project.result(f"{name}_{kind}")
            assert (result["error"] or {}).get("type") == wrong, result
            assert wrong is None or result["error"]["message"]
    assert "not JSON serializable" not in finished.everything


def test_a_file_that_is_different_in_a_worker_fails_only_its_nodes(project):
    project.write(
        {
            "tasks/fails_there.py": """
                import sys
                from sqlbuild.tasks import task

                if "sqlbuild.app.building" not in sys.modules:
                    raise RuntimeError("this is a worker")

                @task(isolate="process")
                def fails(ctx): ...
            """,
            "tasks/fine.py": """
                from sqlbuild.tasks import task

                @task(isolate="process")
                def fine(ctx): ...
            """,
        }
    )
    assert project.sqb("build", "--threads", "1").code == 1
    error = project.result("fails")["error"]
    assert (error["type"], error["message"], error["path"], error["line"]) == (
        "RuntimeError",
        "this is a worker",
        "tasks/fails_there.py",
        6,
    )
    assert project.statuses()["task:fine"] == "succeeded"
