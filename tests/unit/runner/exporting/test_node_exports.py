"""ctx.export as nodes call it, run as in a project but for the project."""

from __future__ import annotations

import csv
import datetime
import decimal
import hashlib
import json

import anyio
import fsspec
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest

from sqlbuild.assets import asset
from sqlbuild.errors import ExportError, NodeError, UndeclaredDependency, WarehouseError
from sqlbuild.refs import model
from sqlbuild.tasks import task
from sqlbuild.testing import arun_node, run_node

ORDERS = model("orders")
ROWS = [{"order_id": n, "country": "NO" if n % 2 else "SE"} for n in range(10)]
RELATIONS = {ORDERS: ROWS}
FORMATS = ("parquet", "csv", "csv.gz", "json", "jsonl", "arrow")


def batches(count: int = 3, rows: int = 4):
    for number in range(count):
        yield pyarrow.record_batch({"n": [number] * rows, "text": ["x"] * rows})


def rows_of(path) -> int:
    match path.name.partition(".")[2]:
        case "parquet":
            return pyarrow.parquet.read_table(path).num_rows
        case "arrow":
            with pyarrow.OSFile(str(path)) as file:
                return pyarrow.ipc.open_file(file).read_all().num_rows
        case "json":
            return len(json.loads(path.read_text()))
        case "jsonl":
            return len(path.read_text().splitlines())
        case "csv":
            return len(list(csv.reader(path.read_text().splitlines()))) - 1
    return len(pyarrow.csv.read_csv(path))


@pytest.mark.parametrize("format", FORMATS)
def test_a_model_a_query_and_batches_are_written_in_every_format(tmp_path, format):
    @asset(depends_on=ORDERS)
    def export(ctx):
        orders = ctx.relation(ORDERS)
        written = [
            ctx.export(ORDERS, f"a.{format}"),
            ctx.export(
                f"SELECT * FROM {orders} WHERE order_id < 3 ORDER BY order_id DESC -- few", f"deep/down/b.{format}"
            ),
            ctx.export(batches(), f"c.{format}"),
            ctx.export(pyarrow.table({"n": [1, 2]}), tmp_path / "d", format),
        ]
        return [[each.path, each.rows, each.bytes, each.sha256] for each in written]

    run = run_node(export, relations=RELATIONS, exports=tmp_path)
    assert [path for path, *_ in run.payload] == [f"a.{format}", f"deep/down/b.{format}", f"c.{format}", "d"]
    for path, rows, size, sha256 in run.payload[:3]:
        content = (tmp_path / path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (size, sha256)
        assert rows_of(tmp_path / path) == rows
    assert [rows for _, rows, *_ in run.payload] == [10, 3, 12, 2]
    assert run.materialized is True
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a.{format}", f"c.{format}", "d", "deep"]


async def test_an_async_node_awaits_it_for_queries_and_for_batches_of_every_kind(tmp_path):
    async def slowly():
        for batch in batches():
            await anyio.lowlevel.checkpoint()
            yield batch

    @asset(depends_on=ORDERS)
    async def export(ctx):
        whats = {
            "reference": ORDERS,
            "sql": "SELECT 1 AS n",
            "async generator": slowly(),
            "generator": batches(),
            "table": pyarrow.table({"n": [1]}),
            "reader": pyarrow.table({"n": [1]}).to_reader(),
            "query": ctx.query(f"SELECT * FROM {ctx.relation(ORDERS)}").batches(3),
        }
        return {name: (await ctx.export(what, f"{name}.csv")).rows for name, what in whats.items()}

    run = await arun_node(export, relations=RELATIONS, exports=tmp_path)
    assert run.payload == {
        "reference": 10, "sql": 1, "async generator": 12, "generator": 12, "table": 1, "reader": 1, "query": 10,
    }  # fmt: skip


def test_arrow_data_keeps_its_types_and_tells_them_as_sql_does(tmp_path):
    table = pyarrow.table(
        {
            "small": pyarrow.array([1], pyarrow.int8()),
            "amount": pyarrow.array([decimal.Decimal("1.50")], pyarrow.decimal128(10, 2)),
            "at": pyarrow.array([datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)], pyarrow.timestamp("us", "UTC")),
            "tags": pyarrow.array([["a"]], pyarrow.list_(pyarrow.string())),
            "facts": pyarrow.array([{"a b": 1}], pyarrow.struct([("a b", pyarrow.int64())])),
            "word": pyarrow.array(["x"]).dictionary_encode(),
        }
    )

    @task
    def export(ctx):
        return ctx.export(table, "x.parquet").columns

    run = run_node(export, exports=tmp_path)
    assert run.payload == {
        "small": "TINYINT",
        "amount": "DECIMAL(10,2)",
        "at": "TIMESTAMP WITH TIME ZONE",
        "tags": "VARCHAR[]",
        "facts": 'STRUCT("a b" BIGINT)',
        "word": "VARCHAR",
    }
    assert pyarrow.parquet.read_schema(tmp_path / "x.parquet").field("small").type == pyarrow.int8()
    assert run.materialized is None


@pytest.mark.parametrize(
    ("what", "path", "more", "error", "message"),
    [
        (model("other"), "x.csv", {}, UndeclaredDependency, "without depending on it"),
        ("SELECT * FROM nowhere", "x.csv", {}, WarehouseError, "nowhere does not exist"),
        ("SELECT 1 AS n", "x.txt", {}, ExportError, "does not tell its format"),
        ("SELECT 1 AS n", "../x.csv", {}, ExportError, "it holds .."),
        ("SELECT 1 AS n, 2 AS N", "x.csv", {}, ExportError, "differ only in case"),
        ("SELECT 1 AS n, 2 AS n", "x.csv", {}, ExportError, "two columns called n"),
        ("SELECT 1 AS n", "x.csv", {"cursor": "m"}, ExportError, "there is no column m"),
        ("SELECT 1 AS n", "x", {"partition_by": ["m"]}, ExportError, "there is no column m"),
        ("SELECT 1 AS n", "x", {"partition_by": "n"}, ExportError, "partitioned by all of its columns"),
        ("SELECT 1 AS n", "x.arrow", {"partition_by": "n"}, ExportError, "does not write Arrow files"),
        ("SELECT 1 AS n", "x.csv", {"check_columns": True}, ExportError, "declares no columns"),
        ([], "x.parquet", {}, ExportError, "nobody knows its columns"),
        ([{"n": 1}], "x.parquet", {}, NodeError, "an iterable of dict"),
        (3, "x.parquet", {}, TypeError, "not int"),
        (None, "x.parquet", {}, TypeError, "not NoneType"),
        ([pyarrow.record_batch({"n": [1]}), pyarrow.record_batch({"m": [1]})], "x.csv", {}, ExportError, "batch 2"),
        (pyarrow.table({"n": [1]}), "x.csv", {"cursor": "n"}, ValueError, "cursor needs"),
        ("SELECT 1 AS n", "x.csv", {"format": "xlsx"}, ValueError, "format must be one of parquet"),
        ("SELECT 1 AS n", "x.csv", {"partition_by": ["n", "N"]}, ValueError, "names a column twice"),
        ("SELECT 1 AS n", "x.csv", {"partition_by": [1]}, TypeError, "names of columns"),
        ("SELECT 1 AS n", "x.csv", {"cursor": 1}, TypeError, "name of a column"),
        ("SELECT 1 AS n", "x.csv", {"check_columns": 1}, TypeError, "True or False"),
        ("SELECT 1 AS n", 3, {}, TypeError, "a text or a path"),
        ("SELECT 1 AS n", "nope://x.csv", {}, ExportError, "Protocol not known"),
        ("SELECT 1 / 0 AS n FROM range(3)", "x.parquet", {"partition_by": ["k"]}, ExportError, "no column k"),
    ],
)
@pytest.mark.parametrize("is_async", [False, True], ids=["def", "async def"])
def test_what_cannot_be_exported_is_told_and_leaves_nothing(tmp_path, what, path, more, error, message, is_async):
    @asset
    def plain(ctx):
        ctx.export(what, path, **more)

    @asset
    async def waiting(ctx):
        await ctx.export(what, path, **more)

    with pytest.raises(error, match=message):
        run_node(waiting if is_async else plain, exports=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_what_gives_the_batches_is_the_nodes_error_and_keeps_the_old_file(tmp_path):
    closed = []

    def failing():
        try:
            yield from batches()
            raise LookupError("the service is gone")
        finally:
            closed.append(True)

    @asset
    def export(ctx):
        ctx.export(failing(), "x.parquet")

    (tmp_path / "x.parquet").write_text("old")
    with pytest.raises(LookupError, match="the service is gone"):
        run_node(export, exports=tmp_path)
    assert closed == [True]
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_forgotten_await_fails_the_node(tmp_path):
    @asset
    async def export(ctx):
        ctx.export("SELECT 1 AS n", "x.csv")

    with pytest.raises(NodeError, match="never awaited"):
        run_node(export, exports=tmp_path)


def test_without_a_folder_a_test_is_told_to_give_one():
    @asset
    def export(ctx):
        ctx.export("SELECT 1 AS n", "x.csv")

    with pytest.raises(NodeError, match="no folder that ctx"):
        run_node(export)


COLUMNS = [{"name": "order_id", "type": "int8"}, {"name": "gone"}]


@pytest.mark.parametrize("what", [ORDERS, "batches"], ids=["query", "batches"])
def test_columns_that_differ_are_a_warning_or_an_error(tmp_path, what):
    @asset(depends_on=ORDERS, columns=COLUMNS)
    def export(ctx):
        sql = "SELECT 1 AS order_id, 'NO' AS country"
        ctx.export(ctx.query(sql).batches() if what == "batches" else sql, "x.csv")

    told = "x.csv does not have the columns that export declares: missing: gone; not declared: country; other types: "
    run = run_node(export, relations=RELATIONS, exports=tmp_path)
    assert run.warnings == (f"{told}order_id is INTEGER, not int8",)

    @asset(depends_on=ORDERS, columns=COLUMNS)
    def checked(ctx):
        ctx.export("SELECT 1 AS order_id", "y.csv", check_columns=True)

    with pytest.raises(ExportError, match=r"y.csv does not have the columns .* missing: gone"):
        run_node(checked, relations=RELATIONS, exports=tmp_path)
    assert not (tmp_path / "y.csv").exists()


def test_an_asset_may_say_otherwise_than_materialized(tmp_path):
    @asset
    def export(ctx):
        ctx.export("SELECT 1 AS n", "x.csv")
        return ctx.result(materialized=False)

    assert run_node(export, exports=tmp_path).materialized is False


def test_a_partitioned_export_is_whole_by_its_manifest_and_replaced_whole(tmp_path):
    @asset(depends_on=ORDERS)
    def export(ctx):
        first = ctx.export(ORDERS, "out", "csv", partition_by="COUNTRY")
        return [
            first.rows,
            ctx.export(f"SELECT * FROM {ctx.relation(ORDERS)} LIMIT 1", "out", partition_by=["country"]),
        ]

    (tmp_path / "out").mkdir()
    (tmp_path / "out/theirs.txt").touch()
    run = run_node(export, relations=RELATIONS, exports=tmp_path)
    content = (tmp_path / "out/_manifest.json").read_bytes()
    manifest = json.loads(content)
    assert run.payload[0] == 10
    assert run.payload[1]["sha256"] == hashlib.sha256(content).hexdigest()
    assert (manifest["rows"], manifest["format"], manifest["partition_by"]) == (1, "parquet", ["country"])
    (file,) = manifest["files"]
    written = tmp_path / "out" / file["path"]
    assert (file["rows"], file["values"], file["bytes"]) == (1, {"country": "SE"}, written.stat().st_size)
    assert file["sha256"] == hashlib.sha256(written.read_bytes()).hexdigest()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "_manifest.json", manifest["generation"], "theirs.txt",
    ]  # fmt: skip


def test_values_that_some_systems_take_for_one_folder_are_refused(tmp_path):
    @asset
    def export(ctx):
        ctx.export("SELECT * FROM (VALUES (1, 'no'), (2, 'NO')) t(n, country)", "out", partition_by="country")

    with pytest.raises(ExportError, match="which some systems do not tell apart"):
        run_node(export, exports=tmp_path)
    assert list((tmp_path / "out").iterdir()) == []


def test_nodes_in_one_run_are_kept_from_each_others_files(tmp_path):
    @asset
    def export(ctx):
        ctx.export("SELECT 1 AS n", "Out.csv")
        ctx.export("SELECT 1 AS n", "out.csv")

    with pytest.raises(ExportError, match="are one file on systems"):
        run_node(export, exports=tmp_path)


@pytest.fixture
def memory():
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()


@pytest.mark.parametrize("is_async", [False, True], ids=["def", "async def"])
def test_an_export_to_a_url_is_uploaded(tmp_path, memory, is_async):
    whats = {"a.parquet": ORDERS, "b.csv": batches(), "c.arrow": batches()}

    @asset(depends_on=ORDERS)
    def plain(ctx):
        results = [ctx.export(what, f"memory://bucket/{name}") for name, what in whats.items()]
        return [*results, ctx.export(ORDERS, "memory://bucket/parts", "csv", partition_by="country")]

    @asset(depends_on=ORDERS)
    async def waiting(ctx):
        results = [await ctx.export(what, f"memory://bucket/{name}") for name, what in whats.items()]
        return [*results, await ctx.export(ORDERS, "memory://bucket/parts", "csv", partition_by="country")]

    run = run_node(waiting if is_async else plain, relations=RELATIONS, exports=tmp_path)
    for result in run.payload[:3]:
        content = memory.cat_file(result["path"])
        assert (len(content), hashlib.sha256(content).hexdigest()) == (result["bytes"], result["sha256"])
    manifest = json.loads(memory.cat_file("/bucket/parts/_manifest.json"))
    assert [memory.size(f"/bucket/parts/{file['path']}") for file in manifest["files"]] == [
        file["bytes"] for file in manifest["files"]
    ]
    assert len(memory.find("/bucket")) == 3 + 1 + 2
    assert list(tmp_path.iterdir()) == []


def test_a_failed_upload_leaves_the_old_file(tmp_path, memory):
    def failing():
        yield from batches()
        raise LookupError("no more")

    @asset
    def export(ctx):
        ctx.export(failing(), "memory://bucket/x.parquet")

    memory.pipe_file("/bucket/x.parquet", b"old")
    with pytest.raises(LookupError):
        run_node(export, exports=tmp_path)
    assert memory.find("/bucket") == ["/bucket/x.parquet"]
    assert memory.cat_file("/bucket/x.parquet") == b"old"


async def test_whoever_gives_batches_waits_for_whoever_writes_them(tmp_path, monkeypatch):
    """Fault 25: no more than one batch is on its way, and no more than a row group is held."""
    from sqlbuild.runner.exporting import batch_export

    given, held = 0, []
    write = batch_export.BatchExport.write

    def slow_write(self, batch):
        held.append(given - len(held))
        write(self, batch)

    monkeypatch.setattr(batch_export.BatchExport, "write", slow_write)

    async def fast():
        nonlocal given
        for batch in batches(50):
            given += 1
            yield batch

    @asset
    async def export(ctx):
        return (await ctx.export(fast(), "x.parquet")).rows

    assert (await arun_node(export, exports=tmp_path)).payload == 200
    assert max(held) == 1
