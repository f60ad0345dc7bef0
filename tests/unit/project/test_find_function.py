"""Functions of single nodes, found without importing the whole project."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from sqlbuild.domain.ids import NodeId
from sqlbuild.errors import NodeError
from sqlbuild.project.find_function import ProjectFunctions
from sqlbuild.project.read_python import close_python

FILES = {
    "tasks/orders.py": """
        from sqlbuild.tasks import task

        @task
        def orders(ctx): return "orders"

        for name in ("a", "b"):
            @task(name=f"loop_{name}")
            def made(ctx, name=name): return name

        def made_by_a_helper(name):
            @task(name=name)
            def inner(ctx): return name
            return inner

        made_by_a_helper("helped")
    """,
    "assets/made.py": """
        from sqlbuild.assets import asset
        from sqlbuild.factories import factory

        @factory
        def many():
            for day in ("mo", "tu"):
                @asset(name=f"day_{day}")
                def of_day(ctx, day=day): return day
                yield of_day
    """,
    "tasks/other.py": "raise ValueError('must not be imported')\n",
}


@pytest.fixture
def functions(tmp_path):
    def write(files: dict[str, str]) -> ProjectFunctions:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return ProjectFunctions(str(tmp_path))

    yield write
    close_python(Path(tmp_path))


def call(functions: ProjectFunctions, node: str, path: str) -> object:
    return functions.find(NodeId(node), path).declared.function(None)


def test_nodes_are_found_by_id_however_they_are_made(functions):
    found = functions(FILES)
    assert call(found, "task:orders", "tasks/orders.py") == "orders"
    assert [call(found, f"task:loop_{name}", "tasks/orders.py") for name in "ab"] == ["a", "b"]
    assert call(found, "task:helped", "tasks/orders.py") == "helped"
    assert call(found, "asset:day_tu", "assets/made.py") == "tu"


def test_only_the_file_of_the_node_is_imported(functions):
    found = functions(FILES)
    call(found, "task:orders", "tasks/orders.py")
    assert "assets.made" not in sys.modules


def test_a_node_that_another_file_declares_after_all_is_found(functions):
    found = functions({name: text for name, text in FILES.items() if name != "tasks/other.py"})
    assert call(found, "asset:day_mo", "tasks/orders.py") == "mo"


def test_an_error_of_the_import_comes_through(functions):
    with pytest.raises(ValueError, match="must not be imported"):
        functions(FILES).find(NodeId("task:x"), "tasks/other.py")


def test_a_file_that_declares_something_else_now_is_told(functions):
    found = functions({"tasks/t.py": "x = 1\n"})
    with pytest.raises(NodeError, match=r"tasks/t\.py does not declare task:gone"):
        found.find(NodeId("task:gone"), "tasks/t.py")


def test_a_file_that_a_node_has_imported_itself_is_imported_again(functions):
    found = functions({"tasks/late.py": FILES["tasks/orders.py"], "tasks/first.py": "x = 1\n"})
    import importlib

    importlib.import_module("tasks.late")
    assert call(found, "task:orders", "tasks/late.py") == "orders"
