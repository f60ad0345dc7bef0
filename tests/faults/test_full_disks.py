"""Fault 7: disks that are full, broken or read-only: path and step are named, what was there stays, the next build is whole."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlbuild.state.journal import read_journal

REASONS = {"enospc": "No space left on device", "eio": "Input/output error"}
SETTINGS = 'name = "faulty"\n'
PROJECT = {
    "sources/raw.yml": "sources:\n  - {name: raw_events, managed: true, write_strategy: append}\n",
    "models/totals.sql": """
        MODEL (materialized table);
        SELECT day, count(*) AS events, string_agg(text, '' ORDER BY id) AS texts
        FROM __source("raw_events") GROUP BY day
    """,
    "python/nodes.py": """
        import hashlib, os
        from sqlbuild.assets import asset
        from sqlbuild.loaders import loader
        from sqlbuild.refs import model

        @loader
        def raw_events(ctx):
            day = int(os.environ["DAY"])
            for n in range(int(os.environ.get("ROWS", "1000"))):
                yield {"id": n, "day": day, "text": hashlib.sha256(f"{day}-{n}".encode()).hexdigest()}

        @asset(depends_on=model("totals"))
        async def out(ctx):
            print("exporting")
            return (await ctx.export(f"SELECT * FROM {ctx.relation(model('totals'))} ORDER BY ALL", "exports/out.csv")).rows
    """,
}
BREAKS = """
    import os, pty, time, pathlib
    from sqlbuild.tasks import task

    def device(kind):
        if kind == "enospc":
            return os.open("/dev/full", os.O_WRONLY)
        one, other = pty.openpty()
        os.close(one)
        return other

    @task
    def before(ctx):
        return 1

    @task(depends_on=before)
    async def breaks(ctx):
        # What the run has open under that name is a device now that takes nothing.
        for name in os.listdir("/proc/self/fd"):
            link = f"/proc/self/fd/{name}"
            if os.path.exists(link) and os.readlink(link).endswith(os.environ["BROKEN"]):
                os.dup2(device(os.environ["KIND"]), int(name))
        pathlib.Path("broken").touch()

    @task(depends_on=breaks)
    def after(ctx):
        pathlib.Path("after").touch()
"""


@dataclasses.dataclass(frozen=True)
class Outputs:
    events: list[tuple[object, ...]]
    totals: list[tuple[object, ...]]
    file: str


def outputs(faulty) -> Outputs:
    return Outputs(
        faulty.query("SELECT * FROM raw_events ORDER BY ALL"),
        faulty.query("SELECT * FROM totals ORDER BY ALL"),
        (faulty.root / "exports/out.csv").read_text(),
    )


def second_day(faulty, *arguments: str, failpoint: str = "", rows: int = 1000):
    faulty.environ |= {"DAY": "2", "ROWS": str(rows), "SQB_FAILPOINT": failpoint}
    finished = faulty.sqb(*arguments)
    assert_told_for_people(finished.output)
    return finished


def assert_told_for_people(output: str) -> None:
    """A node's own traceback begins in the author's file."""
    assert "sqlbuild itself failed" not in output
    assert not re.search(r'Traceback .*\n +File "[^"]*/sqlbuild/', output)


@pytest.fixture(scope="module")
def first_day(make_faulty, tmp_path_factory):
    """The project after its first day; to be copied."""
    first = make_faulty(tmp_path_factory.mktemp("first")).write({"sqlbuild_project.toml": SETTINGS, **PROJECT})
    first.environ["DAY"] = "1"
    first.build()
    return first


@pytest.fixture(scope="module")
def reference(make_faulty, first_day, tmp_path_factory) -> Outputs:
    """Both days of it, undisturbed."""
    calm = make_faulty(tmp_path_factory.mktemp("calm"))
    shutil.copytree(first_day.root, calm.root, dirs_exist_ok=True)
    assert second_day(calm, "build").exit_code == 0
    return outputs(calm)


@pytest.fixture
def built(faulty, first_day):
    shutil.copytree(first_day.root, faulty.root, dirs_exist_ok=True)
    return faulty


def mounted(place: Path, *arguments: str) -> contextlib.AbstractContextManager[None]:
    @contextlib.contextmanager
    def mount() -> Iterator[None]:
        place.mkdir(exist_ok=True)
        done = subprocess.run(["mount", *arguments, str(place)], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"needs a file system of its own: {done.stderr.strip()}")
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True)

    return mount()


@contextlib.contextmanager
def read_only(place: Path) -> Iterator[None]:
    with mounted(place, "--bind", str(place)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield


def fill(disk: Path, *, but_for: int) -> Path:
    """Leave so many bytes of it."""
    found = os.statvfs(disk)
    filler = disk / "filler"
    filler.write_bytes(b"x" * max(0, found.f_bavail * found.f_frsize - but_for))
    return filler


# -- the journal ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", REASONS)
def test_a_journal_that_cannot_be_begun_is_named_and_nothing_runs(built, reference, kind):
    before = outputs(built)
    finished = second_day(built, "build", failpoint=f"journal.opened:{kind}")
    assert finished.exit_code == 5, finished.output
    run = sorted((built.root / "target/runs").iterdir())[-1]
    assert f"run journal {run}/journal.jsonl cannot be written (opening it): {REASONS[kind]}" in finished.stderr
    assert "help: free space" in finished.stderr
    assert outputs(built) == before
    assert second_day(built, "build").exit_code == 0
    assert outputs(built) == reference


@pytest.mark.parametrize("kind", REASONS)
def test_a_journal_that_takes_no_more_ends_the_run(faulty, kind):
    faulty.write({"tasks/t.py": BREAKS})
    faulty.environ |= {"BROKEN": "journal.jsonl", "KIND": kind}
    finished = faulty.sqb("build")
    assert finished.exit_code == 5, finished.output
    (journal,) = (faulty.root / "target/runs").glob("*/journal.jsonl")
    assert f"run journal {journal} cannot be written (" in finished.stderr
    assert REASONS[kind] in finished.stderr
    assert not (faulty.root / "after").exists(), "no user code without a start in the journal"
    assert read_journal(str(journal)).unknown == ("task:breaks",)
    faulty.environ["BROKEN"] = "nothing"
    resumed = faulty.sqb("retry")
    assert resumed.exit_code == 0, resumed.output
    assert "2 nodes of 3 run again" in resumed.stdout


# -- logs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", REASONS)
def test_logs_that_cannot_be_written_are_told_once_and_fail_nothing(faulty, kind):
    source = BREAKS.replace("    async def breaks(ctx):", "    async def breaks(ctx):\n        await begin()")
    begin = """
    import anyio

    async def begin():
        print("begun")
        while not list(pathlib.Path("target/runs").glob("*/logs/breaks.1.log")):
            await anyio.sleep(0.01)
    """
    source = source.replace('pathlib.Path("broken").touch()', "print('lost')")
    source = source.replace('pathlib.Path("after").touch()', "print('kept')")
    faulty.write({"tasks/t.py": begin + source})
    faulty.environ |= {"BROKEN": "breaks.1.log", "KIND": kind}
    finished = faulty.sqb("build")
    assert finished.exit_code == 0, finished.output
    assert finished.stdout.count("logs of nodes cannot be written to target/runs/") == 2, (
        "as it happens, and in the end"
    )
    assert REASONS[kind] in finished.stdout
    assert "kept" in faulty.log("after")


# -- exports and artifacts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["enospc", pytest.param("eio", marks=pytest.mark.slow)])
@pytest.mark.parametrize("point", ["export.prepared", "export.writing", "export.written"])
def test_an_export_fails_its_node_and_keeps_the_file(built, reference, point, kind):
    before = (built.root / "exports/out.csv").read_text()
    finished = second_day(built, "build", failpoint=f"{point}:{kind}")
    assert finished.exit_code == 1, finished.output
    assert "exports/out.csv could not be written (" in finished.stdout
    assert REASONS[kind] in finished.stdout
    assert (built.root / "exports/out.csv").read_text() == before
    assert [path.name for path in (built.root / "exports").iterdir()] == ["out.csv"]
    assert second_day(built, "retry").exit_code == 0
    assert outputs(built) == reference


@pytest.mark.parametrize("kind", ["enospc", pytest.param("eio", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("point", "name"), [("state_file.written", "state"), ("artifact.written", "run_results")])
def test_an_artifact_that_cannot_be_written_is_named_and_the_old_one_stays(built, reference, point, name, kind):
    path = built.root / f"target/{name}.json"
    before = path.read_text()
    finished = second_day(built, "build", failpoint=f"{point}:{kind}")
    assert finished.exit_code == 5, finished.output
    assert f"{path} cannot be written: {REASONS[kind]}" in finished.stderr
    assert path.read_text() == before
    assert [each.name for each in (built.root / "target").iterdir() if each.suffix == ".tmp"] == []
    assert outputs(built) == reference, "the run itself had ended"
    refused = second_day(built, "retry")
    assert (refused.exit_code, "nothing to go on with" in refused.stderr) == (2, True)


# -- the database and the whole disk ----------------------------------------------------------------------------------


def test_a_file_that_may_not_grow_fails_the_model_and_keeps_the_table(built, reference):
    """A limit on the size of files, which every system has."""
    import resource

    def limited() -> None:
        most = (built.root / "faulty.duckdb").stat().st_size + 600_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    before = outputs(built)
    built.environ |= {"DAY": "3", "ROWS": "100000"}
    process = built.start("build", preexec_fn=limited)
    out, err = process.communicate(timeout=100)
    assert process.returncode in (1, 5), out + err
    assert "faulty.duckdb" in out + err
    assert "File too large" in out + err
    assert_told_for_people(out + err)
    assert outputs(built) == before
    assert second_day(built, "build").exit_code == 0
    assert outputs(built) == reference


@pytest.mark.parametrize(
    "but_for", [0, 262_144, *(pytest.param(bytes, marks=pytest.mark.slow) for bytes in (32_768, 131_072, 1_048_576))]
)
def test_a_full_disk_harms_nothing_and_with_more_room_the_run_goes_on(faulty, reference, tmp_path, but_for):
    disk = tmp_path / "disk"
    with mounted(disk, "-t", "tmpfs", "-o", "size=12m", "none"):
        small = type(faulty)(disk).write({"sqlbuild_project.toml": SETTINGS, **PROJECT})
        small.environ["DAY"] = "1"
        small.build()
        before = outputs(small)
        filler = fill(disk, but_for=but_for)
        finished = second_day(small, "build", rows=20_000)
        assert finished.exit_code in (1, 5), finished.output
        assert "No space left on device" in finished.output
        assert str(disk) in finished.output or "exports/out.csv" in finished.output
        assert outputs(small) == before
        filler.unlink()
        again = second_day(small, "retry")
        if again.exit_code == 2:
            again = second_day(small, "build")
        assert again.exit_code == 0, again.output
        assert outputs(small) == reference
        assert not list(disk.rglob("*.tmp"))


def test_folders_that_are_read_only_are_named(built, reference):
    before = outputs(built)
    with read_only(built.root / "exports"):
        finished = second_day(built, "build")
        assert finished.exit_code == 1, finished.output
        assert (
            "exports/out.csv could not be written (making its temporary file): Read-only file system" in finished.stdout
        )
    with read_only(built.root / "target"):
        finished = second_day(built, "retry")
        assert finished.exit_code in (2, 5), finished.output
        assert "target" in finished.stderr
        assert "Read-only file system" in finished.stderr
    assert (built.root / "exports/out.csv").read_text() == before.file
    assert second_day(built, "retry").exit_code == 0
    assert outputs(built) == reference


def test_a_database_in_a_folder_that_is_read_only_is_named(built):
    (built.root / "data").mkdir()
    (built.root / "faulty.duckdb").rename(built.root / "data/faulty.duckdb")
    settings = 'name = "faulty"\n[connections.local]\ndatabase = "data/faulty.duckdb"\n'
    built.write({"sqlbuild_project.toml": settings})
    before = outputs(built)
    with read_only(built.root / "data"):
        finished = second_day(built, "build")
        assert finished.exit_code == 4, finished.output
        assert f"{built.root}/data is not writable" in finished.stderr
        assert outputs(built) == before
    assert second_day(built, "build").exit_code == 0
