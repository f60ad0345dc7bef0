from __future__ import annotations

import time

import pytest

from sqlbuild.assets import asset
from sqlbuild.authoring.collecting import collecting, current_collector
from sqlbuild.authoring.late_binding import late_bindings
from sqlbuild.tasks import task


@pytest.fixture
def run_module():
    """Run source as a module's code while collecting; gives the collector and the module's names."""

    def run(source, path="/project/assets/loop.py", **names):
        namespace = {"__name__": "loop", "asset": asset, "task": task, **names}
        with collecting("/project") as collector, collector.importing(path, scanned=True, helper=False):
            exec(compile(source, path, "exec"), namespace)
        return collector, namespace

    return run


def problems_of(run_module, source, **names):
    collector, _ = run_module(source, **names)
    return late_bindings(collector)


def test_nodes_are_collected_in_order_with_places_relative_to_the_project(run_module):
    collector, names = run_module("@asset\ndef one(ctx): ...\n\n@task\ndef two(ctx): ...\n")
    assert [node.declared.name for node in collector.nodes] == ["one", "two"]
    assert [str(node.declared.place) for node in collector.nodes] == ["assets/loop.py:1", "assets/loop.py:4"]
    assert collector.nodes[0].declared.function is names["one"]


def test_nodes_that_are_made_in_a_loop_have_one_place(run_module):
    source = "def make(name):\n    @task(name=name)\n    def run(ctx): ...\n\nfor name in 'abc':\n    make(name)\n"
    collector, _ = run_module(source)
    first, *others = [node.declared.place for node in collector.nodes]
    assert str(first) == "assets/loop.py:2"
    assert all(place is first for place in others)


def test_outside_of_loading_nothing_is_collected():
    with collecting() as collector:
        pass

    @asset
    def export(ctx): ...

    assert collector.nodes == []
    assert current_collector() is None


def test_a_loop_variable_read_too_late_is_a_problem(run_module):
    (problem,) = problems_of(
        run_module,
        "for carrier in ('AA', 'UA', 'DL', 'B6'):\n"
        "    @asset(name=f'export_{carrier.lower()}')\n"
        "    def export(ctx):\n"
        "        return [carrier for _ in range(3)]\n",
    )
    assert problem.code == "LATE_BINDING"
    assert problem.message.startswith("4 nodes (export_aa, export_ua, export_dl, ...) read `carrier` when they run")
    assert "def export(ctx, carrier=carrier)" in problem.help
    assert (problem.path, problem.line) == ("assets/loop.py", 2)


def test_a_variable_read_by_a_function_inside_is_seen_too(run_module):
    (problem,) = problems_of(
        run_module,
        "for carrier in ('AA', 'UA'):\n"
        "    @asset(name=f'export_{carrier.lower()}')\n"
        "    async def export(ctx):\n"
        "        def inner():\n"
        "            return lambda: carrier\n"
        "        return inner\n",
    )
    assert "`carrier`" in problem.message


def test_a_shared_closure_cell_is_seen(run_module):
    (problem,) = problems_of(
        run_module,
        "def make_all():\n"
        "    for carrier in ('AA', 'UA'):\n"
        "        @asset(name=f'export_{carrier.lower()}')\n"
        "        def export(ctx):\n"
        "            return carrier\n"
        "make_all()\n",
    )
    assert "`carrier`" in problem.message


def test_a_wrapper_does_not_hide_late_binding(run_module):
    (problem,) = problems_of(
        run_module,
        "import functools\n"
        "def logged(function):\n"
        "    @functools.wraps(function)\n"
        "    def wrapper(*args):\n"
        "        return function(*args)\n"
        "    return wrapper\n"
        "for carrier in ('AA', 'UA'):\n"
        "    @asset(name=f'export_{carrier.lower()}')\n"
        "    @logged\n"
        "    def export(ctx):\n"
        "        return carrier\n",
    )
    assert "`carrier`" in problem.message


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            "for carrier in ('AA', 'UA'):\n"
            "    @asset(name=f'export_{carrier.lower()}')\n"
            "    def export(ctx, carrier=carrier):\n"
            "        return carrier\n",
            id="bound by a default",
        ),
        pytest.param(
            "for carrier in ('AA', 'UA'):\n"
            "    @asset(name=f'export_{carrier.lower()}')\n"
            "    def export(ctx, *, carrier=carrier):\n"
            "        return carrier, done\n"
            "    done = carrier\n",
            id="bound by a keyword default",
        ),
        pytest.param(
            "def make(carrier):\n"
            "    @asset(name=f'export_{carrier.lower()}')\n"
            "    def export(ctx):\n"
            "        return carrier\n"
            "for carrier in ('AA', 'UA'):\n"
            "    make(carrier)\n",
            id="made in a helper",
        ),
        pytest.param(
            "class Row:\n"
            "    carrier = 1\n"
            "for carrier in ('AA', 'UA'):\n"
            "    @asset(name=f'export_{carrier.lower()}')\n"
            "    def export(ctx):\n"
            "        return Row.carrier, len([1])\n",
            id="an attribute of the same name",
        ),
        pytest.param(
            "for index in range(2):\n"
            "    prefix = 'out_' + 'x' * 3\n"
            "    @asset(name=f'export_{index}')\n"
            "    def export(ctx):\n"
            "        return prefix\n",
            id="rebound to an equal text",
        ),
        pytest.param(
            "@asset\n"
            "def export(ctx):\n"
            "    return helper()\n"
            "def helper(): ...\n"
            "def helper(): ...\n",
            id="one node, a name rebound later",
        ),
        pytest.param(
            "for index in range(2):\n"
            "    @asset(name=f'export_{index}')\n"
            "    def export(ctx):\n"
            "        return later\n"
            "    later = 'x'\n",
            id="a name that gets its value later",
        ),
    ],
)  # fmt: skip
def test_what_is_bound_is_no_problem(run_module, source):
    assert problems_of(run_module, source) == []


def test_equal_functions_of_two_files_are_not_taken_for_one():
    source = "carrier = NAME\n@asset(name=NAME)\ndef export(ctx):\n    return carrier\n"
    with collecting("/project") as collector:
        for name in ("aa", "ua"):
            exec(compile(source, f"/project/assets/{name}.py", "exec"), {"asset": asset, "NAME": name})
    assert late_bindings(collector) == []


def test_objects_are_compared_by_identity_and_never_asked(run_module):
    class Hostile:
        def __eq__(self, other):
            raise AssertionError

        __hash__ = None

    problems = problems_of(
        run_module,
        "for index in range(2):\n"
        "    frame = Hostile()\n"
        "    @asset(name=f'export_{index}')\n"
        "    def export(ctx):\n"
        "        return frame\n",
        Hostile=Hostile,
    )
    assert ["`frame`" in problem.message for problem in problems] == [True]


def test_a_function_made_by_another_files_code_belongs_to_the_file_that_asked():
    helper = {"asset": asset}
    exec(
        compile("def make(name):\n    @asset(name=name)\n    def export(ctx): ...\n", "/p/assets/_make.py", "exec"),
        helper,
    )
    with collecting("/p") as collector, collector.importing("/p/assets/a.py", scanned=True, helper=False):
        exec(compile("\n\nmake('one')\nmake('two')\n", "/p/assets/a.py", "exec"), helper)
    assert [str(node.declared.place) for node in collector.nodes] == ["assets/a.py:3", "assets/a.py:4"]


def test_a_node_in_a_helper_file_is_a_problem():
    with (
        collecting("/p") as collector,
        collector.importing("/p/assets/a.py", scanned=True, helper=False),
        collector.importing("/p/assets/_make.py", scanned=False, helper=True),
    ):
        exec(compile("\n@asset\ndef export(ctx): ...\n", "/p/assets/_make.py", "exec"), {"asset": asset})
    (problem,) = collector.problems
    assert (problem.code, problem.path, problem.line) == ("HELPER", "assets/_make.py", 2)


def test_ten_thousand_decorations_cost_little(run_module):
    started = time.process_time()
    collector, _ = run_module(
        "for index in range(10_000):\n"
        "    @asset(name=f'export_{index}')\n"
        "    def export(ctx, index=index):\n"
        "        '''Exports.'''\n"
        "        return len(str(index))\n"
    )
    assert late_bindings(collector) == []
    assert time.process_time() - started < 3.0
    assert len(collector.nodes) == 10_000
