"""W1: what the engine adds to each node, with tasks that do nothing.

What is compared is the time for each further node of a run, in microseconds. For `sqb build` it is
`(build(n) - compile(n)) - (build(1) - compile(1))` over n - 1, all of them whole processes, so that start-up, loading and
what every run does once do not count; that is in a table of its own. What the run itself tells is without the plan before
it and the files after it. Journal, events and stored results are on, as always.

The limits are programs that know the same graph and do nothing else, on the same event loop: one anyio task for each
node, started when what it depends on has ended, 64 at once; long-lived workers that take what is ready; for `def`, one
hand-over to a thread for each node, 16 at once. They, and the other tools, measure the run itself inside their process;
only the published sqlbuild is measured as `sqb build` is. The other tools (overhead_peers/) run `def` functions, one after
the other or on threads, but Hamilton runs async ones; the slow ones get 1,000 nodes and one round.

    python benchmarks/overhead.py [NODES] [CHAIN] [MOST]

NODES are those of the fan and the layered graph, which has three times as many edges; CHAIN those of the chain; MOST is
the largest fan of the table that shows whether the time grows with the number of nodes, and of the one of the memory.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from comparing import Entry, Sample, compare, read_options
from measuring import CommandFailed, Cost, duration_of, new_project, run, sqb
from peers import PUBLISHED_PROJECT, peer

Graph = list[list[int]]
"""For each node the earlier nodes that it depends on."""

TASKS = """
import json
from pathlib import Path

from sqlbuild.tasks import task

made = []

def make(number, upstreams):
    @task(name=f"noop_{{number:06}}", depends_on=upstreams)
    {keyword} noop(ctx):
        return None
    return noop

for number, upstreams in enumerate(json.loads(Path("graph.json").read_text())):
    made.append(make(number, tuple(made[each] for each in upstreams)))
"""
LIMIT = """
import json, time
from collections import deque
from pathlib import Path

import anyio, anyio.to_thread

graph = json.loads(Path("graph.json").read_text())
downstreams = [[] for _ in graph]
for number, upstreams in enumerate(graph):
    for each in upstreams:
        downstreams[each].append(number)
waiting_for = [len(upstreams) for upstreams in graph]
ready = deque(number for number, count in enumerate(waiting_for) if not count)
ended = 0

def end(number):
    global ended
    ended += 1
    for each in downstreams[number]:
        waiting_for[each] -= 1
        if not waiting_for[each]:
            ready.append(each)
{runner}
async def main():
    started, cpu = time.perf_counter(), time.process_time()
    await run()
    print(json.dumps({{"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}}))

try:
    import uvloop
except ImportError:
    uvloop = None
anyio.run(main, backend_options={{"use_uvloop": uvloop is not None}})
assert ended == len(graph), ended
"""
ONE_TASK_PER_NODE = """
{keyword} noop():
    return None

async def run():
    running = 0
    threads = anyio.CapacityLimiter({limit})

    def start():
        nonlocal running
        while ready and running < {limit}:
            running += 1
            group.start_soon(node, ready.popleft())

    async def node(number):
        nonlocal running
        await {call}
        running -= 1
        end(number)
        start()

    async with anyio.create_task_group() as group:
        start()
"""
WORKERS = """
async def noop():
    return None

async def run():
    idle = 0
    changed = anyio.Event()

    async def worker():
        nonlocal idle, changed
        while ended < len(graph):
            if not ready:
                idle += 1
                await changed.wait()
                idle -= 1
                continue
            number = ready.popleft()
            await noop()
            end(number)
            if idle:
                changed.set()
                changed = anyio.Event()

    async with anyio.create_task_group() as group:
        for _ in range(64):
            group.start_soon(worker)
"""
PUBLISHED_TASKS = """
import json
from pathlib import Path

from sqlbuild.tasks import task

made = []

def make(number, upstreams):
    @task(name=f"noop_{number:06}", description="Nothing.", depends_on=upstreams)
    def noop(ctx):
        return None
    return noop

for number, upstreams in enumerate(json.loads(Path("graph.json").read_text())):
    made.append(make(number, tuple(made[each] for each in upstreams)))
    globals()[f"noop_{number:06}"] = made[-1]
"""
IN_TASKS = ONE_TASK_PER_NODE.format(keyword="async def", limit=64, call="noop()")
IN_THREADS = ONE_TASK_PER_NODE.format(keyword="def", limit=16, call="anyio.to_thread.run_sync(noop, limiter=threads)")


def main() -> None:
    options = read_options(__doc__, nodes=10_000, chain=10_000, most=100_000)
    nodes, links, most = options.sizes
    shapes = (
        (f"fan of {nodes:,}", fan, nodes),
        (f"chain of {links:,}", chain, links),
        (f"layered graph of {nodes:,} with {3 * nodes:,} edges", layers, nodes),
    )
    for shape, make, size in shapes:
        compare(
            f"W1 async def, {shape}",
            "us per node",
            [*in_loop(make(size)), *in_others(make, size)],
            options,
            cpu_unit="us",
        )
    for shape, make, size in shapes:
        compare(f"W1s def, {shape}", "us per node", in_threads(make(size)), options, cpu_unit="us")
    fixed = [
        Entry("python -c pass", lambda: in_milliseconds(run("-c", "pass"))),
        Entry("sqb compile of one task", lambda: in_milliseconds(sqb_run("compile", fan(1)))),
        Entry("sqb build of one task", lambda: in_milliseconds(sqb_run("build", fan(1)))),
    ]
    compare("W1 what does not grow with the nodes", "ms", fixed, options, cpu_unit="ms")
    sizes = sorted({min(1_000, most), min(10_000, most), most})
    grown = [Entry(f"sqb build, fan of {size:,}", functools.partial(further_nodes, fan(size))) for size in sizes]
    compare("W1 flat or not", "us per node", grown, options, cpu_unit="us")
    compare(f"W1m memory with {most:,} nodes", "MB above Python", memory(most), options)


def fan(nodes: int) -> Graph:
    return [[] for _ in range(nodes)]


def chain(nodes: int) -> Graph:
    return [[number - 1] if number else [] for number in range(nodes)]


def layers(nodes: int) -> Graph:
    """As many layers as nodes in each of them; three edges for each node, all from one layer to the next. Always the same."""
    chosen = random.Random(2026)
    width = math.isqrt(nodes)
    least, more = divmod(3 * nodes, nodes - width) if nodes > width else (0, 0)
    found: Graph = [[] for _ in range(width)]
    for number in range(width, nodes):
        before = range(number // width * width - width, number // width * width)
        wanted = least + (number - width < more)
        found.append(sorted(chosen.sample(before, min(wanted, width))))
    return found


def in_loop(graph: Graph) -> Iterator[Entry]:
    yield Entry("anyio, one task for each node", functools.partial(limit, graph, IN_TASKS))
    yield Entry("anyio, long-lived workers", functools.partial(limit, graph, WORKERS))
    yield Entry("sqb build, as the run tells", functools.partial(told_by_run, graph))
    yield Entry("sqb build", functools.partial(further_nodes, graph))


def in_threads(graph: Graph) -> Iterator[Entry]:
    yield Entry("anyio.to_thread for each node", functools.partial(limit, graph, IN_THREADS))
    yield Entry("sqb build, as the run tells", functools.partial(told_by_run, graph, "def"))
    yield Entry("sqb build", functools.partial(further_nodes, graph, "def"))


def in_others(make: Callable[[int], Graph], nodes: int) -> Iterator[Entry]:
    for tool in ("hamilton", "doit"):
        yield Entry(f"{tool}, {nodes:,} nodes", functools.partial(in_peer, tool, make(nodes)), is_peer=True)
    few = min(nodes, 1_000)
    for tool in ("dask", "luigi", "dagster", "prefect"):
        yield Entry(f"{tool}, {few:,} nodes", functools.partial(in_peer, tool, make(few)), is_peer=True, rounds=1)
    published = functools.partial(in_published, make(few))
    yield Entry(f"published sqlbuild, {few:,} nodes", published, is_peer=True, rounds=1)


def in_peer(tool: str, graph: Graph) -> Sample:
    program = Path(__file__).parent / "overhead_peers" / f"with_{tool}.py"
    with files({}, graph) as folder:
        return per_node(run(program, directory=folder, python=peer(tool)), len(graph))


def in_published(graph: Graph) -> Sample:
    program = peer("published sqlbuild").parent / "sqb"

    def command(name: str, graph: Graph) -> Cost:
        project = {"sqlbuild_project.toml": PUBLISHED_PROJECT, "python/noops.py": PUBLISHED_TASKS}
        with files(project, graph) as folder:
            return run(program, name, directory=folder, executable=True)

    return beyond_the_first(graph, command)


def limit(graph: Graph, runner: str) -> Sample:
    with files({}, graph) as folder:
        return per_node(run("-c", LIMIT.format(runner=runner), directory=folder), len(graph))


def per_node(cost: Cost, nodes: int) -> Sample:
    sample = Sample.of(cost)
    return dataclasses.replace(sample, value=sample.value * 1e6 / nodes, cpu=sample.cpu * 1e6 / nodes)


def told_by_run(graph: Graph, keyword: str = "async def") -> Sample:
    """From the run's start to its end, without the plan before it and the files after it; the CPU is the whole command's."""
    with files({"tasks/noops.py": TASKS.format(keyword=keyword)}, graph) as project:
        cost = sqb("build", project, "--quiet")
        return per_node(dataclasses.replace(cost, told=duration_of(project, len(graph))), len(graph))


def further_nodes(graph: Graph, keyword: str = "async def") -> Sample:
    def command(name: str, graph: Graph) -> Cost:
        """Few nodes take less than what two starts of a process may differ by, so the least of three counts."""
        costs = [sqb_run(name, graph, keyword) for _ in range(3 if len(graph) <= 2_000 else 1)]
        wall, cpu = min(cost.wall for cost in costs), min(cost.cpu for cost in costs)
        return dataclasses.replace(costs[0], wall=wall, cpu=cpu)

    return beyond_the_first(graph, command)


def beyond_the_first(graph: Graph, command: Callable[[str, Graph], Cost]) -> Sample:
    """What each node beyond the first adds to a run."""
    one = fan(1)
    whole, before = command("build", graph), command("compile", graph)
    whole_of_one, before_of_one = command("build", one), command("compile", one)
    wall = (whole.wall - before.wall) - (whole_of_one.wall - before_of_one.wall)
    cpu = (whole.cpu - before.cpu) - (whole_of_one.cpu - before_of_one.cpu)
    further = max(len(graph) - 1, 1)
    return Sample(value=wall * 1e6 / further, cpu=cpu * 1e6 / further, peak=whole.peak)


def sqb_run(command: str, graph: Graph, keyword: str = "async def") -> Cost:
    """A command in a new project; a build has to store the result of every node."""
    with files({"tasks/noops.py": TASKS.format(keyword=keyword)}, graph) as project:
        if command == "compile":
            return sqb("compile", project)
        cost = sqb("build", project, "--quiet")
        stored = stored_results(project)
    if stored != len(graph):
        raise CommandFailed(f"{stored:,} of {len(graph):,} results are stored")
    return cost


def stored_results(project: Path) -> int:
    with duckdb.connect(str(next(project.glob("*.duckdb"))), read_only=True) as connection:
        query = "SELECT count(DISTINCT node_name) FROM _sqlbuild_node_results WHERE status = 'succeeded'"
        (count,) = connection.execute(query).fetchone() or (0,)
    return int(count)


def memory(nodes: int) -> list[Entry]:
    python = run("-c", "pass").peak

    def above_python(cost: Cost) -> Sample:
        return Sample(value=cost.peak - python, cpu=cost.cpu, peak=cost.peak)

    def bare() -> Sample:
        with files({}, fan(nodes)) as folder:
            return above_python(run("-c", LIMIT.format(runner=IN_TASKS), directory=folder))

    return [
        Entry("anyio, one task for each node", bare, rounds=1),
        Entry("sqb compile", lambda: above_python(sqb_run("compile", fan(nodes))), rounds=1),
        Entry("sqb build, every result stored", lambda: above_python(sqb_run("build", fan(nodes))), rounds=1),
    ]


def in_milliseconds(cost: Cost) -> Sample:
    return Sample(value=cost.wall * 1000, cpu=cost.cpu * 1000, peak=cost.peak)


@contextmanager
def files(texts: dict[str, str], graph: Graph) -> Iterator[Path]:
    """A project in a folder of its own, with the graph where its programs look for it."""
    with tempfile.TemporaryDirectory() as folder:
        yield new_project(Path(folder), {**texts, "graph.json": json.dumps(graph)})


if __name__ == "__main__":
    main()
