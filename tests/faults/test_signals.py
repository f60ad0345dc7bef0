"""Faults 10, 11 and 13: a signal at any moment ends a build in an orderly way, a second one at once."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import signal
import subprocess
import time
from collections.abc import Callable, Mapping

import pytest
from faulty_places import on_postgres

from sqlbuild.state.journal import read_journal

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
NODE = "import pathlib, time\nimport anyio\nfrom sqlbuild.tasks import task\n"
FINE = NODE + "@task\nasync def fine(ctx): ...\n"
LONG_QUERY = "SELECT count(*) AS n FROM range(1000000) a, range(1000000) b WHERE (a.range * b.range) % 7 = 3"
LONG_ON_A_SERVER = (
    "SELECT count(*) AS n FROM generate_series(1, 1000000) AS a (n), generate_series(1, 1000000) AS b (n) "
    "WHERE (a.n + b.n) % 7 = 3"
)


def lines(*texts: str) -> str:
    return "\n".join((NODE, *texts, ""))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moment:
    """What a project is in the middle of when the signal comes."""

    files: Mapping[str, str]
    begun: tuple[str, ...] = ("begun",)
    """Files that tell that it is there."""
    statuses: Mapping[str, str] | None = None
    """How its nodes end; None where no run has begun."""
    left: tuple[str, ...] = ()
    """Files that clean-ups leave."""
    says: str = "stopping ({signal})"
    options: tuple[str, ...] = ()


MOMENTS = {
    "imports": Moment(
        files={"tasks/t.py": lines("pathlib.Path('begun').touch()", "time.sleep(3600)")}, says="stopped ({signal})"
    ),
    "imports that swallow everything": Moment(
        files={
            "tasks/t.py": lines(
                "pathlib.Path('begun').touch()",
                "try:",
                "    time.sleep(3600)",
                "except BaseException:",
                "    pass",
                "@task",
                "def fine(ctx): ...",
            )
        },
        says="stopped ({signal})",
    ),
    "an async factory": Moment(
        files={
            "tasks/f.py": lines(
                "from sqlbuild.factories import factory",
                "@factory",
                "async def makes():",
                "    pathlib.Path('begun').touch()",
                "    await anyio.sleep(3600)",
                "    return []",
            )
        },
        says="stopped ({signal})",
    ),
    "an async node": Moment(
        files={
            "tasks/t.py": lines(
                "@task",
                "async def node(ctx):",
                "    pathlib.Path('begun').touch()",
                "    try:",
                "        await anyio.sleep(3600)",
                "    finally:",
                "        pathlib.Path('cleaned').touch()",
                "@task(depends_on=node)",
                "async def later(ctx): ...",
            )
        },
        left=("cleaned",),
        statuses={"node": "cancelled", "later": "not_started"},
    ),
    "a thread that asks": Moment(
        files={
            "tasks/t.py": lines(
                "@task",
                "def node(ctx):",
                "    pathlib.Path('begun').touch()",
                "    try:",
                "        while True:",
                "            ctx.query('SELECT 1').scalar()",
                "    finally:",
                "        pathlib.Path('cleaned').touch()",
            )
        },
        left=("cleaned",),
        statuses={"node": "cancelled"},
    ),
    "a thread that ends by itself": Moment(
        files={
            "tasks/t.py": lines(
                "@task",
                "def node(ctx):",
                "    pathlib.Path('begun').touch()",
                "    time.sleep(0.5)",
                "    return 1",
                "@task(depends_on=node)",
                "def later(ctx): ...",
            )
        },
        statuses={"node": "succeeded", "later": "not_started"},
    ),
    "a thread that is stuck": Moment(
        files={
            "tasks/t.py": lines("@task", "def node(ctx):", "    pathlib.Path('begun').touch()", "    time.sleep(3600)")
        },
        statuses={"node": "unknown"},
        options=("--grace", "0.3"),
    ),
    "a process": Moment(
        files={
            "tasks/t.py": lines(
                "@task(isolate='process')",
                "def node(ctx):",
                "    pathlib.Path('begun').touch()",
                "    try:",
                "        time.sleep(3600)",
                "    finally:",
                "        pathlib.Path('cleaned').touch()",
            )
        },
        left=("cleaned",),
        statuses={"node": "cancelled"},
    ),
    "a statement of a node": Moment(
        files={
            "tasks/t.py": lines(
                "@task",
                "async def node(ctx):",
                "    pathlib.Path('begun').touch()",
                f"    await ctx.query({LONG_QUERY!r}).scalar()",
            )
        },
        statuses={"node": "cancelled"},
    ),
    "a model": Moment(
        files={
            "models/slow.sql": f"MODEL (materialized table);\n{LONG_QUERY}\n",
            "tasks/t.py": lines("@task", "async def node(ctx):", "    pathlib.Path('begun').touch()"),
        },
        statuses={"node": "succeeded", "slow": "cancelled"},
        options=("--connections", "1"),
    ),
    "a retry's back-off": Moment(
        files={
            "tasks/t.py": lines(
                "from sqlbuild.retries import RetryPolicy",
                "@task(retry=RetryPolicy(initial_delay_seconds=30, jitter=False))",
                "async def node(ctx):",
                "    raise ValueError('again')",
                "@task",
                "async def waits(ctx):",
                "    while not list(pathlib.Path('target/runs').glob('*/logs/node.1.log')):",
                "        await anyio.sleep(0.01)",
                "    pathlib.Path('begun').touch()",
            )
        },
        statuses={"node": "cancelled", "waits": "succeeded"},
    ),
    "a pool that is full": Moment(
        files={
            "sqlbuild_project.toml": 'name = "faulty"\n[pools.crm]\nslots = 1\n',
            "tasks/t.py": lines(
                "for index in range(3):",
                "    @task(name=f'node_{index}', pool='crm')",
                "    async def node(ctx):",
                "        pathlib.Path('begun').touch()",
                "        await anyio.sleep(3600)",
            ),
        },
        statuses={"node_0": "cancelled", "node_1": "not_started", "node_2": "not_started"},
    ),
}
ON_A_SERVER = {
    "a statement of a node": Moment(
        files={
            "tasks/t.py": lines("@task", "async def node(ctx):", f"    await ctx.query({LONG_ON_A_SERVER!r}).scalar()")
        },
        begun=("state = 'active' AND query LIKE '%generate_series%'",),
        statuses={"node": "cancelled"},
    ),
    "a model": Moment(
        files={"models/slow.sql": f"MODEL (materialized table);\n{LONG_ON_A_SERVER}\n"},
        begun=("state = 'active' AND query LIKE '%generate_series%'",),
        statuses={"slow": "cancelled"},
    ),
    "rows on their way": Moment(
        files={
            "tasks/t.py": lines(
                "@task",
                "async def node(ctx):",
                "    async for batch in ctx.query('SELECT n FROM generate_series(1, 100000000) AS a (n)').batches(1000):",
                "        await anyio.sleep(0.01)",
            )
        },
        begun=("query LIKE 'COPY%generate_series%'",),
        statuses={"node": "cancelled"},
    ),
    "an export": Moment(
        files={
            "python/n.py": lines(
                "from sqlbuild.assets import asset",
                "@asset",
                "async def node(ctx):",
                f"    await ctx.export({LONG_ON_A_SERVER!r}, 'exports/a.csv')",
            )
        },
        begun=("query LIKE 'COPY%generate_series%'",),
        statuses={"node": "cancelled"},
    ),
    "a load": Moment(
        files={
            "sources/raw.yml": "sources:\n  - {name: raw, managed: true, write_strategy: append}\n",
            "python/n.py": lines(
                "from sqlbuild.loaders import loader",
                "@loader",
                "def raw(ctx):",
                "    while True:",
                "        yield [{'id': n} for n in range(10_000)]",
            ),
        },
        begun=("query LIKE 'COPY%_sqlbuild_staging%'",),
        statuses={"raw": "cancelled"},
    ),
    "a table that somebody reads": Moment(
        files={"models/kept.sql": "MODEL (materialized table);\nSELECT 2 AS a\n"},
        begun=("wait_event_type = 'Lock'",),
        statuses={"kept": "cancelled"},
    ),
}
"""What a PostgreSQL server is in the middle of; `begun` says how that is seen in `pg_stat_activity`."""
ALWAYS_ON_A_SERVER = ("a model", "a load", "a table that somebody reads")
AT_POINTS = {
    "compiling": "analysis.written",
    "taking the lock": "lock.taken",
    "before the run": "run.prepared",
    "the first record": "journal.opened",
    "the artifacts": "run.closed",
    "between the artifacts": "artifact.written",
    "giving the lock back": "lock.unlinked",
}
"""Moments that are too short to be met by a signal from outside."""


def signals(*few: tuple[signal.Signals, str]):
    """All of them on both backends; all but a few are slow."""
    few = few or ((signal.SIGTERM, "asyncio"), (signal.SIGINT, "trio"))
    return pytest.mark.parametrize(
        ("number", "backend"),
        [
            pytest.param(
                number,
                backend,
                marks=() if (number, backend) in few else pytest.mark.slow,
                id=f"{number.name}-{backend}",
            )
            for number in EXIT_CODES
            for backend in ("asyncio", "trio")
        ],
    )


def ended_well(faulty, process: subprocess.Popen[str], number: signal.Signals) -> str:
    """All that it said."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == EXIT_CODES[number], out + err
    assert "Traceback" not in out + err
    assert "sqlbuild itself failed" not in err
    assert not list(faulty.root.glob("*.lock"))
    unfinished = [path for path in (faulty.root / "target").glob("*") if path.suffix in (".tmp", ".part")]
    assert not unfinished
    return out + err


@pytest.mark.parametrize("name", MOMENTS)
@signals()
def test_a_signal_ends_whatever_goes_on(faulty, name, number, backend):
    moment = MOMENTS[name]
    faulty.write(moment.files)
    process = faulty.start("build", "--backend", backend, *moment.options)
    faulty.wait_for(process, *moment.begun)
    process.send_signal(number)
    said = ended_well(faulty, process, number)
    assert moment.says.format(signal=number.name) in said
    assert all((faulty.root / name).exists() for name in moment.left)
    runs = list((faulty.root / "target/runs").glob("*/journal.jsonl"))
    if moment.statuses is None:
        assert runs == []
        return
    assert faulty.statuses() == moment.statuses
    assert read_journal(str(*runs)).ended_with == EXIT_CODES[number]
    assert faulty.query("SELECT count(*) FROM _sqlbuild_node_results") == [(len(moment.statuses),)]


@on_postgres
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ALWAYS_ON_A_SERVER else pytest.mark.slow) for name in ON_A_SERVER]
)
@signals((signal.SIGTERM, "asyncio"))
def test_a_signal_ends_what_a_server_does(faulty, name, number, backend):
    moment = ON_A_SERVER[name]
    faulty.write(moment.files)
    faulty.place.rows("CREATE TABLE kept AS SELECT 1 AS a")
    with faulty.place.held("SELECT * FROM kept"):
        process = faulty.start("build", "--backend", backend)
        for where in moment.begun:
            faulty.place.wait_for(where)
        process.send_signal(number)
        assert moment.says.format(signal=number.name) in ended_well(faulty, process, number)
        faulty.place.wait_until_none()
        assert faulty.place.rows("SELECT a FROM kept") == [(1,)]
    assert faulty.statuses() == moment.statuses
    (journal,) = (faulty.root / "target/runs").glob("*/journal.jsonl")
    assert read_journal(str(journal)).ended_with == EXIT_CODES[number]
    relations = faulty.place.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
    )
    assert {name for (name,) in relations if name.startswith("_sqlbuild_staging") or "_sqlbuild" not in name} == {
        "kept"
    }
    assert not [path for path in (faulty.root / "exports").glob("**/*") if path.is_file()]


@pytest.mark.parametrize("name", AT_POINTS)
@signals((signal.SIGTERM, "trio"))
def test_a_signal_between_the_steps_of_a_build_does_too(faulty, name, number, backend):
    faulty.write({"tasks/t.py": FINE, "models/one.sql": "SELECT 1 AS a\n"})
    faulty.environ["SQB_FAILPOINT"] = f"{AT_POINTS[name]}:{number.name.lower()}"
    said = ended_well(faulty, faulty.start("build", "--backend", backend), number)
    assert f"stopped ({number.name})" in said
    for path in (faulty.root / "target/runs").glob("*/journal.jsonl"):
        assert read_journal(str(path)).ended_with is not None


@signals()
def test_a_signal_ends_the_waiting_for_the_target(faulty, number, backend):
    faulty.write({"tasks/t.py": FINE})
    with open(faulty.root / "faulty.duckdb.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = faulty.start("build", "--backend", backend)
        assert process.stdout.readline().startswith("waiting ")
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (EXIT_CODES[number], f"stopped ({number.name})\n"), out + err
        assert (faulty.root / "faulty.duckdb.lock").exists(), "it is another's"
    assert not (faulty.root / "faulty.duckdb").exists()


@pytest.mark.parametrize("command", [("compile",), ("list",), ("plan",)], ids=" ".join)
def test_a_signal_ends_commands_that_only_read(faulty, command):
    faulty.write(MOMENTS["imports"].files)
    process = faulty.start(*command)
    faulty.wait_for(process, "begun")
    process.send_signal(signal.SIGTERM)
    assert "stopped (SIGTERM)" in ended_well(faulty, process, signal.SIGTERM)


def test_programs_get_a_document_from_what_was_stopped(faulty):
    faulty.write(MOMENTS["imports"].files)
    process = faulty.start("build", "--json")
    faulty.wait_for(process, "begun")
    process.send_signal(signal.SIGTERM)
    document = json.loads(ended_well(faulty, process, signal.SIGTERM))
    assert document["error"] == {"code": "STOPPED", "message": "stopped (SIGTERM)", "exit_code": 143}


@signals()
def test_a_second_signal_leaves_at_once(faulty, number, backend):
    faulty.write({"tasks/t.py": MOMENTS["a thread that is stuck"].files["tasks/t.py"]})
    process = faulty.start("build", "--grace", "3600", "--backend", backend)
    faulty.wait_for(process, "begun")
    process.send_signal(number)
    while f"stopping ({number.name})" not in (line := process.stdout.readline()):
        assert line, "the run says that it stops"
    asked = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == EXIT_CODES[number], out + err
    assert time.monotonic() - asked < 5
    assert "Traceback" not in out + err
    (journal,) = (faulty.root / "target/runs").glob("*/journal.jsonl")
    assert '"unknown"' in journal.read_text()
    assert read_journal(str(journal)).dropped_bytes == 0


def test_a_second_signal_of_another_kind_does_not_change_the_exit_code(faulty):
    faulty.write({"tasks/t.py": MOMENTS["a thread that is stuck"].files["tasks/t.py"]})
    process = faulty.start("build", "--grace", "3600")
    faulty.wait_for(process, "begun")
    process.send_signal(signal.SIGTERM)
    while "stopping (SIGTERM)" not in (line := process.stdout.readline()):
        assert line, "the run says that it stops"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, out + err


ignoring: Mapping[signal.Signals, Callable[[], None]] = {
    number: (lambda number=number: signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGHUP, signal.SIGINT)
}


@pytest.mark.parametrize("number", ignoring, ids=lambda number: number.name)
def test_a_signal_that_is_ignored_stays_so(faulty, number):
    """As `nohup` ignores SIGHUP, and a shell Ctrl-C for what it starts in the background."""
    source = lines(
        "@task",
        "async def node(ctx):",
        "    pathlib.Path('begun').touch()",
        "    while not pathlib.Path('release').exists():",
        "        await anyio.sleep(0.01)",
    )
    faulty.write({"tasks/t.py": source})
    process = faulty.start("build", preexec_fn=ignoring[number])
    faulty.wait_for(process, "begun")
    process.send_signal(number)
    (faulty.root / "release").touch()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err


@signals()
def test_one_signal_ends_a_hundred_nodes_of_every_kind(faulty, number, backend):
    """Fault 10."""
    faulty.write(
        {
            "tasks/t.py": lines(
                "for index in range(100):",
                "    @task(name=f'waits_{index}')",
                "    async def waits(ctx, index=index):",
                "        pathlib.Path(f'begun_{index}').touch()",
                "        try:",
                "            await anyio.sleep(3600)",
                "        finally:",
                "            pathlib.Path(f'cleaned_{index}').touch()",
                "for index in range(5):",
                "    @task(name=f'asks_{index}')",
                "    def asks(ctx, index=index):",
                "        pathlib.Path(f'asking_{index}').touch()",
                "        while True:",
                "            time.sleep(0.01)",
                "            ctx.checkpoints",
                "            ctx.query('SELECT 1').scalar()",
                "@task(depends_on=[waits, asks])",
                "def later(ctx): ...",
            ),
            "models/slow.sql": f"MODEL (materialized table);\n{LONG_QUERY}\n",
        }
    )
    process = faulty.start("build", "--concurrency", "200", "--backend", backend)
    faulty.wait_for(process, *(f"begun_{n}" for n in range(100)), *(f"asking_{n}" for n in range(5)))
    asked = time.monotonic()
    process.send_signal(number)
    said = ended_well(faulty, process, number)
    assert time.monotonic() - asked < 12, "two seconds and the grace time"
    assert all((faulty.root / f"cleaned_{n}").exists() for n in range(100))
    statuses = faulty.statuses()
    assert statuses.pop("later") == "not_started"
    assert (set(statuses.values()), len(statuses)) == ({"cancelled"}, 106)
    assert f"stopped by {number.name} in" in said
    assert "106 cancelled" in said
    stored = faulty.query("SELECT status, count(*) FROM _sqlbuild_node_results GROUP BY ALL ORDER BY ALL")
    assert stored == [("cancelled", 106), ("not_started", 1)]
