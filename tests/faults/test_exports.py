"""Faults 7, 31 and 33: an export that is killed, cancelled or out of space leaves the old file, and nothing half-made under
its name."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from pathlib import Path

import duckdb
import pytest

from sqlbuild.runner.exporting.leftovers import remove_export_leftovers

POINTS = ("export.prepared", "export.writing", "export.written", "export.renamed")
FORMATS = ("csv", "json", "parquet", "arrow", "csv.gz", "jsonl")
SLOW = pytest.mark.slow
OLD = 5
NODES = """
    import os
    import sqlbuild.assets
    from sqlbuild.assets import asset

    ROWS = int(os.environ.get("ROWS", "5"))

    @asset
    {kind} whole(ctx):
        path = "exports/rows." + os.environ["FORMAT"]
        return {wait} ctx.export(f"SELECT range AS n, repeat('x', 50) AS text FROM range({{ROWS}})", path)

    @asset
    {kind} parts(ctx):
        what = f"SELECT range AS n, range % 3 AS part FROM range({{ROWS}})"
        return {wait} ctx.export(what, "exports/parts", os.environ["FORMAT"], partition_by="part")

    @asset
    {kind} batches(ctx):
        rows = ctx.query(f"SELECT range AS n FROM range({{ROWS}})").batches(1_000)
        return {wait} ctx.export(rows, "exports/batches." + os.environ["FORMAT"])
"""
SYNC = NODES.format(kind="def", wait="")
ASYNC = NODES.format(kind="async def", wait="await")


def rows_in(path: Path) -> int:
    """Raises whatever its reader raises for a file that is not whole."""
    if path.suffix == ".parquet":
        return duckdb.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchone()[0]
    if path.suffix == ".arrow":
        import pyarrow

        with pyarrow.OSFile(str(path)) as file:
            return pyarrow.ipc.open_file(file).read_all().num_rows
    if path.suffix == ".json":
        return len(json.loads(path.read_text()))
    if path.suffix == ".jsonl":
        return len([json.loads(line) for line in path.read_text().splitlines()])
    if path.suffix == ".gz":
        return duckdb.execute("SELECT count(*) FROM read_csv(?, header = true)", [str(path)]).fetchone()[0]
    text = path.read_text()
    assert text.endswith("\n")
    return len(list(csv.reader(text.splitlines()))) - 1


def rows_in_parts(folder: Path) -> int:
    """By its manifest, whose files must all be there and whole."""
    manifest = json.loads((folder / "_manifest.json").read_text())
    found = sum(rows_in(folder / file["path"]) for file in manifest["files"])
    assert found == manifest["rows"]
    return found


def write_old(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".arrow":
        import pyarrow

        table = pyarrow.table({"n": range(OLD)})
        with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        return
    options = {
        ".csv": "HEADER",
        ".gz": "FORMAT csv, HEADER, COMPRESSION gzip",
        ".json": "ARRAY",
        ".jsonl": "FORMAT json",
    }
    given = f"({options[path.suffix]})" if path.suffix in options else ""
    duckdb.execute(f"COPY (SELECT * FROM range({OLD}) t(n)) TO '{path}' {given}")


def working_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.startswith(".sqb-export~")]


def settle(root: Path) -> tuple[str, ...]:
    """What the next run does first."""
    return remove_export_leftovers(str(root / "target/runs"), lambda run_id: False)


@pytest.fixture
def exporting(faulty):
    """Run the node that exports, with so many rows and stopped at a failpoint; its exit code."""
    faulty.write({"assets/exports.py": SYNC})

    def run(node: str, format: str, rows: int, failpoint: str = "") -> int:
        faulty.environ.update(FORMAT=format, ROWS=str(rows), SQB_FAILPOINT=failpoint)
        return faulty.sqb("build", "-s", node).exit_code

    return run


@pytest.mark.parametrize("format", ["csv", *(pytest.param(each, marks=SLOW) for each in ("json", "parquet"))])
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("replaces", [False, True], ids=["new file", "existing file"])
def test_a_kill_at_any_step_leaves_the_old_file_or_the_new_one(faulty, exporting, format, point, replaces):
    path = faulty.root / f"exports/rows.{format}"
    if replaces:
        write_old(path)
    assert exporting("whole", format, 1_000, f"{point}:kill") == -signal.SIGKILL
    if point == "export.renamed":
        assert rows_in(path) == 1_000
    elif replaces:
        assert rows_in(path) == OLD
    else:
        assert not path.exists()
    settle(faulty.root)
    assert working_files(faulty.root) == []
    if format == "csv":
        assert exporting("whole", format, 1_000) == 0
        assert rows_in(path) == 1_000


@pytest.mark.parametrize("point", [*POINTS, "export.moved"])
@pytest.mark.parametrize("replaces", [False, True], ids=["new folder", "existing folder"])
def test_a_kill_at_any_step_leaves_the_old_folder_or_the_new_one(faulty, exporting, point, replaces):
    folder = faulty.root / "exports/parts"
    if replaces:
        assert exporting("parts", "parquet", OLD) == 0
    assert exporting("parts", "parquet", 1_000, f"{point}:kill") == -signal.SIGKILL
    if point == "export.renamed":
        assert rows_in_parts(folder) == 1_000
    elif replaces:
        assert rows_in_parts(folder) == OLD
    else:
        assert not (folder / "_manifest.json").exists()
    settle(faulty.root)
    assert len([path for path in folder.iterdir() if path.is_dir()]) <= 1 + (point == "export.renamed" and replaces)
    assert working_files(faulty.root) == []
    assert exporting("parts", "parquet", 1_000) == 0
    assert rows_in_parts(folder) == 1_000
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 1


@pytest.mark.parametrize("format", ["csv", *(pytest.param(each, marks=SLOW) for each in FORMATS if each != "csv")])
def test_kills_at_spread_times_never_show_half_a_file(faulty, exporting, format):
    """Big enough that most of them come while it is written."""
    path = faulty.root / f"exports/rows.{format}"
    write_old(path)
    faulty.environ.update(FORMAT=format, ROWS="3000000")
    sizes = []
    for delay in (0.0, 0.03, 0.1, 0.3):
        process = faulty.start("build", "-s", "whole")
        give_up_at = time.monotonic() + 30
        while not working_files(faulty.root / "exports") and process.poll() is None:
            assert time.monotonic() < give_up_at
        time.sleep(delay)  # a spread of moments is the very thing that is tested
        process.kill()
        process.communicate()
        sizes += [file.stat().st_size for file in working_files(faulty.root / "exports")]
        assert rows_in(path) in (OLD, 3_000_000)
        settle(faulty.root)
        assert working_files(faulty.root) == []
    assert any(sizes), "no kill came while the file was written"


@pytest.mark.parametrize("node", ["whole", "batches", "parts"])
@pytest.mark.parametrize("point", ["export.prepared", "export.writing", "export.written"])
def test_a_full_disk_fails_the_node_with_path_and_step_and_keeps_the_old_file(faulty, exporting, node, point):
    path = faulty.root / ("exports/rows.csv" if node == "whole" else "exports/batches.csv")
    write_old(path)
    assert exporting(node, "csv", 1_000, f"{point}:enospc") == 1
    error = faulty.result(node)["error"]
    assert error["type"] == "ExportError"
    assert error["message"].startswith("exports/")
    assert error["message"].endswith("No space left on device")
    assert "could not be written (" in error["message"]
    assert rows_in(path) == OLD
    assert not (faulty.root / "exports/parts/_manifest.json").exists()
    assert working_files(faulty.root) == []
    if point == "export.written":
        assert exporting(node, "csv", 1_000) == 0


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_duckdb_finds_full_is_told_with_the_exports_own_name(faulty):
    """The temporary file is replaced by a link to a device that takes nothing, while the statement has not begun."""
    faulty.write(
        {
            "assets/exports.py": """
            import pathlib
            from sqlbuild.assets import asset
            from sqlbuild.runner.exporting import outputs

            created = outputs.create_file

            def create_file(path, replaces=None):
                created(path, replaces)
                pathlib.Path(path).unlink()
                pathlib.Path(path).symlink_to("/dev/full")

            @asset
            def whole(ctx):
                outputs.create_file = create_file
                try:
                    ctx.export("SELECT * FROM range(100_000)", "exports/rows.csv")
                finally:
                    outputs.create_file = created
        """
        }
    )
    assert faulty.sqb("build").exit_code == 1
    error = faulty.result("whole")["error"]
    assert (error["type"], error["message"][:43]) == ("ExportError", "exports/rows.csv could not be written (copy")
    assert "No space left on device" in error["message"]
    assert working_files(faulty.root) == []


def test_a_folder_that_cannot_be_written_to_is_named(faulty):
    faulty.write({"assets/exports.py": SYNC, "exports": "a file where a folder should be"})
    faulty.environ.update(FORMAT="csv")
    assert faulty.sqb("build", "-s", "whole").exit_code == 1
    message = faulty.result("whole")["error"]["message"]
    assert message.startswith("exports/rows.csv could not be written (making its temporary file)")


@pytest.mark.parametrize(("source", "backend"), [(SYNC, "asyncio"), (ASYNC, "asyncio"), (ASYNC, "trio")])
@pytest.mark.parametrize("node", ["whole", "batches"])
def test_ctrl_c_while_a_file_is_written_keeps_the_old_one_and_leaves_nothing(faulty, backend, source, node):
    path = faulty.root / ("exports/rows.csv" if node == "whole" else "exports/batches.csv")
    write_old(path)
    faulty.write({"assets/exports.py": source})
    faulty.environ.update(FORMAT="csv", ROWS="200000000")
    process = faulty.start("build", "-s", node, "--backend", backend)
    give_up_at = time.monotonic() + 30
    while not any(path.stat().st_size for path in working_files(faulty.root)):
        assert time.monotonic() < give_up_at
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert rows_in(path) == OLD
    assert working_files(faulty.root) == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_attempt_that_is_over_never_publishes(faulty, backend):
    """Fault 31: the first attempt swallows its time limit and exports when it is too late; the second one did already."""
    faulty.write(
        {
            "assets/exports.py": """
            import anyio
            from sqlbuild.assets import asset
            from sqlbuild.tasks import task

            late = anyio.Event()

            @asset(timeout=0.2)
            async def slow(ctx):
                try:
                    await anyio.sleep_forever()
                finally:
                    with anyio.CancelScope(shield=True):
                        await late.wait()
                        try:
                            await ctx.export("SELECT 'late' AS text", "exports/slow.csv")
                        except Exception as error:
                            open("told", "w").write(str(error))

            @task
            async def lets_it_go(ctx):
                await anyio.sleep(1.0)
                late.set()
                await anyio.sleep(0.5)
        """
        }
    )
    finished = faulty.sqb("build", "--grace", "0.3", "--backend", backend)
    assert finished.exit_code == 1, finished.output
    assert faulty.statuses() == {"slow": "timed_out", "lets_it_go": "succeeded"}
    assert (faulty.root / "told").read_text() == "slow has ended, and with it what its ctx could do"
    assert not (faulty.root / "exports").exists()


def test_a_file_of_a_killed_worker_is_not_published(faulty, exporting):
    """The time limit of a node in a process of its own comes while the run writes its file."""
    faulty.write({"assets/exports.py": SYNC.replace("@asset", '@asset(isolate="process", timeout=2)')})
    write_old(faulty.root / "exports/rows.csv")
    assert exporting("whole", "csv", 300_000_000) == 1
    assert faulty.statuses()["whole"] == "timed_out"
    assert rows_in(faulty.root / "exports/rows.csv") == OLD
    assert working_files(faulty.root) == []


def test_a_retry_after_a_failed_export_publishes_its_own_file_whole(faulty):
    faulty.write(
        {
            "assets/exports.py": """
            from sqlbuild.assets import asset
            from sqlbuild.retries import RetryPolicy

            @asset(retry=RetryPolicy(max_attempts=2, initial_delay_seconds=0.01))
            def twice(ctx):
                value = "n" if ctx.attempt == 2 else "CAST(CASE WHEN n = 999999 THEN 'x' ELSE '1' END AS INTEGER)"
                return ctx.export(f"SELECT {value} AS n FROM range(1000000) t(n)", "exports/rows.csv")
        """
        }
    )
    finished = faulty.sqb("build")
    assert finished.exit_code == 0, finished.output
    assert rows_in(faulty.root / "exports/rows.csv") == 1_000_000
    assert working_files(faulty.root) == []


def test_files_of_a_run_that_is_alive_are_left_alone(faulty, exporting):
    assert exporting("whole", "csv", 10, "export.written:kill") == -signal.SIGKILL
    (left,) = working_files(faulty.root)
    runs = str(faulty.root / "target/runs")
    assert remove_export_leftovers(runs, lambda run_id: run_id in left.name) == ()
    assert left.exists()
    assert remove_export_leftovers(runs, lambda run_id: False) == (str(left),)
    assert remove_export_leftovers(runs, lambda run_id: False) == ()


def test_a_cursor_moves_on_only_with_a_success(faulty):
    faulty.write(
        {
            "assets/exports.py": """
            import os
            from sqlbuild.assets import asset

            @asset
            def new(ctx):
                rows = ctx.export(f"SELECT * FROM range({os.environ['ROWS']}) t(n)", "exports/new.csv", cursor="n").rows
                if "FAIL" in os.environ:
                    raise RuntimeError("after the export")
                return rows
        """
        }
    )
    seen = []
    for rows, fails in ((10, False), (15, True), (15, False), (15, False)):
        faulty.environ.pop("FAIL", None)
        faulty.environ.update({"ROWS": str(rows)} | ({"FAIL": "1"} if fails else {}))
        assert faulty.sqb("build").exit_code == int(fails)
        seen.append(rows_in(faulty.root / "exports/new.csv"))
    assert seen == [10, 5, 5, 0]


def test_the_next_command_removes_what_a_killed_export_left(faulty, exporting):
    folder = faulty.root / "exports"
    assert exporting("whole", "csv", 1_000, "export.written:kill") == -signal.SIGKILL
    assert [path.name for path in folder.iterdir() if path.name != "rows.csv"]
    assert exporting("whole", "csv", 1_000) == 0
    assert [path.name for path in folder.iterdir()] == ["rows.csv"]
