"""Exports of whole projects: in worker processes, over one connection, in dry runs, to S3, and what stays of them."""

from __future__ import annotations

import json
import os
import uuid

import duckdb
import pytest

NUMBERS = """
    MODEL (materialized table);
    SELECT range AS n, range % 3 AS part FROM range(1000)
"""


def test_exports_of_every_kind_of_node_share_one_connection(project):
    project.write(
        {
            "models/numbers.sql": NUMBERS,
            "python/nodes.py": """
            from sqlbuild.assets import asset
            from sqlbuild.checks import check
            from sqlbuild.loaders import loader
            from sqlbuild.refs import model
            from sqlbuild.tasks import task

            NUMBERS = model("numbers")

            @loader(destination="loaded")
            def loaded(ctx):
                ctx.export("SELECT 1 AS n", "exports/loader.csv")
                return [{"n": 1}]

            @task(depends_on=NUMBERS)
            async def sent(ctx):
                return await ctx.map(lambda n: ctx.export(NUMBERS, f"exports/{n}.csv"), range(5), limit=5)

            @asset(depends_on=NUMBERS)
            async def streamed(ctx):
                rows = ctx.query(f"FROM {ctx.relation(NUMBERS)}").batches(10)
                return await ctx.export(rows, "exports/streamed.csv")

            @check(depends_on=NUMBERS)
            def looked_at(ctx):
                return ctx.export(NUMBERS, "exports/check.csv").rows == 1000
        """,
        }
    )
    project.build("--connections", "1")
    assert len(list((project.root / "exports").iterdir())) == 8
    assert project.result("streamed")["materialized"] is True
    assert project.result("sent")["materialized"] is None


def test_a_worker_process_exports_like_any_other_node(project):
    project.write(
        {
            "models/numbers.sql": NUMBERS,
            "assets/a.py": """
            import pyarrow
            from sqlbuild.assets import asset
            from sqlbuild.refs import model

            @asset(depends_on=model("numbers"), isolate="process", columns=[{"name": "n"}])
            def exported(ctx):
                numbers = ctx.relation(model("numbers"))
                batches = ctx.query(f"FROM {numbers}").batches(100)
                results = [
                    ctx.export(model("numbers"), "exports/a.parquet", cursor="n"),
                    ctx.export(batches, "exports/b.csv"),
                    ctx.export(pyarrow.table({"n": range(200_000)}), "exports/c.arrow"),
                    ctx.export(f"FROM {numbers}", "exports/d", partition_by=["part"]),
                ]
                try:
                    ctx.export("FROM nowhere", "exports/e.csv")
                except Exception as error:
                    results.append(type(error).__name__)
                return results
        """,
        }
    )
    project.build()
    result = project.result("exported")
    assert [each["rows"] for each in result["payload"][:4]] == [1000, 1000, 200_000, 1000]
    assert result["payload"][4] == "WarehouseError"
    assert len(result["warnings"]) == 1
    assert result["materialized"] is True
    (stored,) = project.rows("SELECT exports FROM _sqlbuild_node_results WHERE node_name = 'exported'")
    assert json.loads(stored[0])["cursors"] == {"n exports/a.parquet": "999"}


def test_a_dry_run_says_what_it_would_write_and_writes_nothing(project):
    project.write(
        {
            "models/numbers.sql": NUMBERS,
            "assets/a.py": """
            import pyarrow
            from sqlbuild.assets import asset
            from sqlbuild.refs import model

            @asset(depends_on=model("numbers"), dry_run=True)
            async def exported(ctx):
                written = await ctx.export(model("numbers"), "exports/a.parquet", partition_by="part")
                await ctx.export(pyarrow.table({"n": [1]}), "s3://bucket/b.csv")
                return written

            @asset(dry_run=True)
            def outside(ctx):
                ctx.export("SELECT 1 AS n", "/etc/a.csv")
        """,
        }
    )
    shown = project.sqb("build", "--dry-run", "--verbose")
    assert shown.code == 1
    assert "would export model('numbers') to exports/a.parquet as parquet, partitioned by part" in shown.out
    assert "would export 1 row of Arrow data to s3://bucket/b.csv as csv" in shown.out
    assert "it is outside of the project" in shown.everything
    assert {"exports", "shop.duckdb"} & set(os.listdir(project.root)) == set()
    assert not list((project.root / "target").glob("runs/*"))


def test_only_what_is_new_goes_into_a_file_of_its_own_for_each_run(project):
    project.write(
        {
            "assets/a.py": """
            import os
            from sqlbuild.assets import asset

            @asset
            def new(ctx):
                sql = f"SELECT TIMESTAMP '2025-01-01' + INTERVAL (n) HOUR AS at FROM range({os.environ['ROWS']}) t(n)"
                one = ctx.export(sql, f"exports/{ctx.run_id}/new.csv", cursor="AT")
                other = ctx.export(sql, "exports/other.csv", cursor="at")
                return [one.rows, other.rows]
        """
        }
    )
    seen = []
    for rows in (5, 5, 8):
        project.build(env={"ROWS": str(rows)})
        seen.append(project.result("new")["payload"])
    assert seen == [[5, 5], [0, 0], [3, 3]]
    assert len(list((project.root / "exports").glob("*/new.csv"))) == 3


def test_a_target_of_an_earlier_sqlbuild_gets_the_column_for_exports(project):
    project.write(
        {
            "assets/a.py": """
        from sqlbuild.assets import asset

        @asset
        def new(ctx):
            return ctx.export("SELECT 1 AS n", "exports/new.csv", cursor="n").rows
    """
        }
    )
    project.build()
    with duckdb.connect(str(project.root / "shop.duckdb")) as connection:
        connection.execute("ALTER TABLE _sqlbuild_node_results DROP COLUMN exports")
        connection.execute("UPDATE _sqlbuild_meta SET schema_version = 1")
    assert project.sqb("show", "new").code == 0
    assert project.sqb("history", "new").code in (0, 2)
    project.build()
    project.build()
    assert project.result("new")["payload"] == 0


def test_settings_allow_exports_to_other_folders(project, tmp_path_factory):
    reports = tmp_path_factory.mktemp("reports")
    project.write(
        {
            "sqlbuild_project.toml": f'name = "shop"\n[settings]\nexport_paths = ["{reports}"]\n',
            "assets/a.py": f"""
            from sqlbuild.assets import asset

            @asset
            def report(ctx):
                return ctx.export("SELECT 1 AS n", "{reports}/a.csv").path
        """,
        }
    )
    project.build()
    assert project.result("report")["payload"] == f"{reports}/a.csv"
    assert (reports / "a.csv").read_text() == "n\n1\n"


@pytest.fixture
def s3():
    """A server of its own on a free port: its URL, and a file system that looks into it."""
    server_module = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    files = s3fs.S3FileSystem(key="key", secret="secret", endpoint_url=url, skip_instance_cache=True)
    bucket = f"reports-{uuid.uuid4()}"  # what is in one server of this process is in all of them
    files.mkdir(bucket)
    yield url, files, bucket
    server.stop()


def s3_environment(url: str, bucket: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "BUCKET": bucket,
    }


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_files_and_folders_go_to_s3_in_parts_and_appear_whole(project, s3, backend):
    url, files, bucket = s3
    project.write(
        {
            "models/numbers.sql": NUMBERS,
            "assets/a.py": """
            import os
            import pyarrow
            from sqlbuild.assets import asset
            from sqlbuild.refs import model

            NUMBERS = model("numbers")

            @asset(depends_on=NUMBERS)
            def copied(ctx):
                return ctx.export(NUMBERS, f"s3://{os.environ['BUCKET']}/a.parquet")

            @asset(depends_on=NUMBERS)
            async def parts(ctx):
                return await ctx.export(NUMBERS, f"s3://{os.environ['BUCKET']}/parts", partition_by=["part"])

            @asset
            async def streamed(ctx):
                def batches():
                    for _ in range(10):
                        yield pyarrow.record_batch({"noise": [os.urandom(1 << 20) for _ in range(4)]})
                return await ctx.export(batches(), f"s3://{os.environ['BUCKET']}/b.parquet")

            @asset
            async def broken(ctx):
                def batches():
                    for number in range(10):
                        yield pyarrow.record_batch({"noise": [os.urandom(1 << 20) for _ in range(4)]})
                    raise LookupError("the rest is gone")
                return await ctx.export(batches(), f"s3://{os.environ['BUCKET']}/c.parquet")

            @asset
            def nowhere(ctx):
                return ctx.export("SELECT 1 AS n", "s3://no-such-bucket/c.csv")
        """,
        }
    )
    files.pipe_file(f"{bucket}/c.parquet", b"old")
    finished = project.sqb("build", "--backend", backend, env=s3_environment(url, bucket))
    assert finished.code == 1, finished.everything
    assert project.statuses() == {
        "model:numbers": "succeeded", "asset:copied": "succeeded", "asset:parts": "succeeded",
        "asset:streamed": "succeeded", "asset:broken": "failed", "asset:nowhere": "failed",
    }  # fmt: skip
    assert "s3://no-such-bucket/c.csv could not be written" in project.result("nowhere")["error"]["message"]
    files.invalidate_cache()
    for name in ("copied", "streamed"):
        result = project.result(name)["payload"]
        assert files.size(result["path"].removeprefix("s3://")) == result["bytes"]
    assert files.size(f"{bucket}/b.parquet") > 40_000_000
    assert files.cat_file(f"{bucket}/c.parquet") == b"old"
    assert files.list_multipart_uploads(bucket) == []
    manifest = json.loads(files.cat_file(f"{bucket}/parts/_manifest.json"))
    assert manifest["rows"] == 1000
    project.build("-s", "parts", "--backend", backend, env=s3_environment(url, bucket))
    files.invalidate_cache()
    assert len([path for path in files.ls(f"{bucket}/parts", detail=False) if "/data." in path]) == 1
    assert not list(project.root.rglob(".sqb-export~*"))
