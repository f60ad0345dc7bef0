from __future__ import annotations

import anyio
import pytest

from sqlbuild.errors import ProjectAlreadyOpen
from sqlbuild.project.read_python import close_python, read_python

HEAD = "from sqlbuild.assets import asset\nfrom sqlbuild.factories import factory\nfrom sqlbuild.tasks import task\n"


@pytest.fixture
def read(tmp_path):
    def read(**files: str):
        paths = []
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(HEAD + text)
            paths.append(path)
        return read_python(tmp_path, paths)

    yield read
    close_python(tmp_path)


def names(found) -> list[str]:
    return [node.declared.name for node in found.nodes]


@pytest.mark.parametrize(
    "body",
    [
        "def make():\n    return one()\n",
        "def make():\n    return [one()]\n",
        "def make():\n    return {one()}\n",
        "def make():\n    yield one()\n",
        "def make():\n    return map(lambda _: one(), [1])\n",
        "async def make():\n    return (one(),)\n",
        "async def make():\n    await anyio.sleep(0)\n    return one()\n",
        "async def make():\n    yield one()\n    await anyio.sleep(0)\n",
    ],
)
def test_every_kind_of_factory_is_run_to_its_end(read, body):
    one = "import anyio\ndef one():\n    @task\n    def made(ctx): ...\n    return made\n"
    found = read(tasks__t=f"{one}@factory\n{body}")
    assert found.problems == ()
    assert names(found) == ["made"]


def test_nodes_belong_to_the_file_of_their_factory_at_the_line_that_made_them(read):
    helper = "def made_by(name):\n    @task(name=name)\n    def one(ctx): ...\n    return one\n"
    found = read(
        tasks___helper=helper,
        tasks__t="from tasks._helper import made_by\n@factory\ndef make():\n    @asset\n    def a(ctx): ...\n"
        "    yield a\n    yield made_by('b')\n",
    )
    assert found.problems == ()
    assert [(node.declared.name, str(node.declared.place)) for node in found.nodes] == [
        ("a", "tasks/t.py:7"),
        ("b", "tasks/t.py:10"),
    ]


def test_other_files_get_the_very_nodes_that_were_collected(read):
    found = read(
        tasks__a="@factory\ndef make():\n    @task\n    def made(ctx): ...\n    return [made]\n",
        assets__b="from tasks.a import make\n@asset(depends_on=make())\ndef after(ctx): ...\n",
    )
    assert found.problems == ()
    made, after = sorted(found.nodes, key=lambda node: node.declared.name, reverse=True)
    assert after.declared.depends_on == (made.declared.function,)


def test_a_factory_declared_by_a_factory_is_run_too(read):
    found = read(
        tasks__t="@factory\ndef outer():\n    @factory\n    def inner():\n        @task\n        def made(ctx): ...\n"
        "        return made\n    return []\n"
    )
    assert names(found) == ["made"]


def test_the_loop_variable_of_a_factory_is_bound_or_told(read):
    found = read(
        tasks__t="@factory\ndef make():\n    for day in 'ab':\n        @task(name=day)\n"
        "        def export(ctx): return day\n        yield export\n"
    )
    assert [problem.code for problem in found.problems] == ["LATE_BINDING"]


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("def make(): ...\n", 4, "the factory make returned nothing"),
        ("def make():\n    def f(ctx): ...\n    return f\n", 4, "returned `f`, which is not a node"),
        ("def make():\n    def f(ctx): ...\n    return [f]\n", 4, "number 1 of what the factory make gave is `f`"),
        ("def make():\n    return 'orders'\n", 4, "returned an object of type str"),
        ("def make():\n    return {'a': 1}\n", 4, "returned a dict"),
        ("def make():\n    return [[]]\n", 4, "number 1 of what the factory make gave is an object of type list"),
        ("def make(carrier): ...\n", 4, "make takes `carrier`, but a factory is called without arguments"),
        ("def make():\n    1 / 0\n", 6, "the factory make failed: ZeroDivisionError: division by zero"),
        ("async def make():\n    1 / 0\n", 6, "the factory make failed: ZeroDivisionError"),
        ("async def make():\n    1 / 0\n    yield\n", 6, "the factory make failed: ZeroDivisionError"),
        ("def make():\n    import nowhere\n", 6, "No module named 'nowhere'"),
        ("def make():\n    raise SystemExit(3)\n", 6, "the factory make failed"),
    ],
)
def test_a_factory_that_goes_wrong_is_one_problem_with_its_line(read, body, line, message):
    (problem,) = read(tasks__t=f"@factory\n{body}").problems
    assert (problem.code, problem.path, problem.line) == ("FACTORY", "tasks/t.py", line)
    assert message in problem.message


def test_a_factory_that_fails_while_its_file_is_imported_is_told_once(read):
    found = read(tasks__t="@factory\ndef make():\n    1 / 0\nmake()\n")
    assert [(problem.code, problem.line) for problem in found.problems] == [("IMPORT", 6)]


def test_a_helper_file_declares_no_factory(read):
    found = read(tasks___h="@factory\ndef make():\n    return []\n", tasks__t="from tasks import _h\n")
    assert [problem.code for problem in found.problems] == ["HELPER"]


async def test_async_factories_run_while_another_event_loop_does(read):
    found = read(
        tasks__t="import anyio\n@factory\nasync def make():\n    await anyio.sleep(0)\n    @task\n"
        "    def made(ctx): ...\n    return made\n"
    )
    await anyio.lowlevel.checkpoint()
    assert names(found) == ["made"]


def test_a_factory_cannot_open_another_project(read, tmp_path):
    found = read(
        tasks__t="@factory\ndef make():\n    from pathlib import Path\n"
        "    from sqlbuild.project.read_python import read_python\n"
        "    read_python(Path('/'), [Path('/a.py')])\n"
    )
    assert [problem.code for problem in found.problems] == ["ALREADY_OPEN"]
    assert issubclass(ProjectAlreadyOpen, Exception)
