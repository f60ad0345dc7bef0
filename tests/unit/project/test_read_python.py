from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path

import pytest

from sqlbuild.authoring.declare import declaration_of
from sqlbuild.domain.nodes import Asset, Task
from sqlbuild.errors import ProjectAlreadyOpen
from sqlbuild.project.read_python import close_python, read_python


@pytest.fixture
def read(tmp_path):
    """Write files below a new root and read those whose folders are searched for nodes."""

    def read(files, *, only=None):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        found = only if only is not None else [name for name in files if "/" in name and name.endswith(".py")]
        return read_python(tmp_path, [Path(name) for name in sorted(found)])

    yield read
    close_python(tmp_path)


TASK = """
    from sqlbuild.tasks import task

    @task
    def export_orders(ctx):
        return {"rows": 3}
"""
DASHBOARD = """
    from sqlbuild.assets import asset
    from {folder}tasks.orders import export_orders

    @asset(depends_on=export_orders)
    def orders_dashboard(ctx):
        return ctx.result_of(export_orders)
"""


def told(files):
    return [str(problem) for problem in files.problems]


@pytest.mark.parametrize("folder", ["", "python."])
def test_both_layouts_give_one_function_to_import_and_to_discovery(read, folder):
    below = folder.replace(".", "/")
    files = read({f"{below}assets/exports.py": DASHBOARD.format(folder=folder), f"{below}tasks/orders.py": TASK})
    assert files.problems == ()
    asset, task = files.nodes if isinstance(files.nodes[0], Asset) else files.nodes[::-1]
    assert isinstance(task, Task)
    assert asset.declared.depends_on == (task.declared.function,)
    assert sys.modules[f"{folder}tasks.orders"].export_orders is task.declared.function
    assert declaration_of(task.declared.function) is task
    assert sys.modules[f"{folder}assets.exports"].__file__.endswith(f"{below}assets/exports.py")
    assert str(asset.declared.place) == f"{below}assets/exports.py:5"


def test_reading_again_takes_what_the_files_say_now(read):
    first = read({"tasks/orders.py": TASK})
    again = read({"tasks/orders.py": TASK.replace("3", "4")})
    assert [node.declared.function(None) for node in (*first.nodes, *again.nodes)] == [{"rows": 3}, {"rows": 4}]
    assert first.code["task:export_orders"] != again.code["task:export_orders"]


def test_closing_forgets_modules_and_path(read, tmp_path):
    read({"tasks/orders.py": TASK, "tasks/deep/er.py": "", "shared.py": ""})
    assert sys.path[0] == str(tmp_path)
    close_python(tmp_path)
    assert str(tmp_path) not in sys.path
    assert not {"tasks", "tasks.orders", "tasks.deep", "tasks.deep.er"} & set(sys.modules)
    close_python(tmp_path)


def test_one_project_is_open_at_a_time(read, tmp_path):
    read({"tasks/orders.py": TASK})
    other = tmp_path / "other"
    (other / "tasks").mkdir(parents=True)
    (other / "tasks" / "orders.py").write_text("")
    with pytest.raises(ProjectAlreadyOpen, match="is open in this process"):
        read_python(other, [Path("tasks/orders.py")])
    assert read_python(other, []).nodes == ()
    close_python(tmp_path)
    assert read_python(other, [Path("tasks/orders.py")]).problems == ()
    close_python(other)


def test_files_with_an_underscore_are_importable_and_not_searched(read):
    files = read(
        {
            "assets/_make.py": """
                from sqlbuild.assets import asset

                def make(name):
                    @asset(name=name)
                    def made(ctx): ...
            """,
            "assets/_private/deep.py": "VALUE = 3",
            "assets/a.py": """
                from assets._make import make
                from assets._private.deep import VALUE

                make("one")
                make("two")
            """,
        }
    )
    assert files.problems == ()
    assert [str(node.declared.place) for node in files.nodes] == ["assets/a.py:5", "assets/a.py:6"]


@pytest.mark.parametrize("helper", ["assets/_made.py", "assets/_private/made.py", "_made.py", "assets/__init__.py"])
def test_a_node_at_the_top_level_of_a_helper_is_a_problem(read, helper):
    module = helper.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    files = read({helper: TASK, "assets/a.py": f"import {module}"}, only=["assets/a.py"])
    (problem,) = files.problems
    assert (problem.code, problem.path, problem.line) == ("HELPER", helper, 4)


def test_a_node_of_a_file_that_is_not_searched_belongs_to_the_file_that_imports_it(read):
    files = read({"shared.py": TASK, "assets/a.py": "\nimport shared\n"})
    assert files.problems == ()
    assert [str(node.declared.place) for node in files.nodes] == ["assets/a.py:2"]


def test_an_installed_package_of_the_same_name_does_not_win(read, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "tasks").mkdir(parents=True)
    (elsewhere / "tasks" / "__init__.py").write_text("raise AssertionError")
    monkeypatch.syspath_prepend(str(elsewhere))
    assert read({"tasks/orders.py": TASK, "assets/exports.py": DASHBOARD.format(folder="")}).problems == ()


def test_a_folder_of_helpers_needs_no_init_file_and_does_not_hide_an_installed_package(read, tmp_path):
    files = read(
        {
            "shared/deep/text.py": "def text(): return 'a'",
            "yaml/notes.py": "",
            "tasks/orders.py": """
                import yaml
                from shared.deep.text import text
                from sqlbuild.tasks import task

                assert yaml.safe_load("a: 1") == {"a": 1}

                @task
                def export(ctx):
                    return text()
            """,
        },
        only=["tasks/orders.py"],
    )
    assert files.problems == ()
    before = files.code["task:export"]
    (tmp_path / "shared/deep/text.py").write_text("def text(): return 'b'")
    assert read({}, only=["tasks/orders.py"]).code["task:export"] != before
    close_python(tmp_path)
    assert "shared.deep.text" not in sys.modules
    assert "yaml" in sys.modules


def test_a_project_that_loads_a_project_is_told(read, tmp_path):
    files = read(
        {
            "tasks/orders.py": f"""
                from pathlib import Path
                from sqlbuild.project.read_python import read_python

                read_python(Path({str(tmp_path)!r}), [Path("tasks/other.py")])
            """,
            "tasks/other.py": "",
        }
    )
    (problem,) = files.problems
    assert problem.code == "ALREADY_OPEN"
    assert "a project is being loaded" in problem.message


def test_a_name_that_was_imported_from_elsewhere_is_a_problem(read, monkeypatch):
    import types

    other = types.ModuleType("tasks")
    other.__file__ = "/usr/lib/other/tasks.py"
    monkeypatch.setitem(sys.modules, "tasks", other)
    files = read({"tasks/orders.py": TASK, "assets/a.py": "import tasks"})
    assert told(files)[1].startswith(
        "error[NAME_TAKEN] tasks: `tasks` is imported already, from /usr/lib/other/tasks.py"
    )
    assert "error[IMPORT] assets/a.py:1: `tasks` is imported already, from" in told(files)[0]
    assert files.nodes == ()
    assert sys.modules["tasks"] is other


def test_a_helper_name_that_was_imported_from_elsewhere_matters_when_it_is_needed(read, monkeypatch):
    import types

    other = types.ModuleType("shared")
    other.__file__ = "/usr/lib/other/shared.py"
    monkeypatch.setitem(sys.modules, "shared", other)
    assert read({"shared.py": "", "tasks/orders.py": TASK}).problems == ()
    (problem,) = read({"tasks/orders.py": "x = 1\nfrom shared import thing"}).problems
    assert (problem.code, problem.path, problem.line) == ("IMPORT", "tasks/orders.py", 2)
    assert problem.message == "`shared` is imported already, from /usr/lib/other/shared.py"


@pytest.mark.parametrize("file", ["logging.py", "secrets/__init__.py"])
def test_a_file_named_like_a_standard_module_is_a_problem(read, file):
    files = read({file: "", "tasks/orders.py": TASK}, only=["tasks/orders.py"])
    (problem,) = files.problems
    assert problem.code == "NAME_TAKEN"
    assert problem.path == file.partition("/")[0]
    assert "standard library" in problem.message


def test_a_folder_named_like_a_standard_module_does_not_matter(read):
    import json

    files = read({"venv/bin/tool.py": "", "json/data.py": "", "tasks/orders.py": "import json\n" + textwrap.dedent(TASK)},
                 only=["tasks/orders.py"])  # fmt: skip
    assert files.problems == ()
    assert sys.modules["json"] is json


BROKEN = {
    "a missing package": (
        "import os\nimport surely_not_installed\n",
        "assets/broken.py:2: ModuleNotFoundError: No module named 'surely_not_installed'",
    ),
    "an exception": ("x = 1\n\nraise ValueError('two\\nlines')", "assets/broken.py:3: ValueError: two lines"),
    "a syntax error": ("x = 1\ndef f(:\n", "assets/broken.py:2:7: SyntaxError: invalid syntax"),
    "a wrong indent": ("if True:\nx = 1\n", "assets/broken.py:2:1: IndentationError: expected an indented block"),
    "sys.exit": ("import sys\nsys.exit(3)\n", "assets/broken.py:2: the file calls sys.exit(3) while it is imported"),
    "an exception with a broken text": (
        "class E(Exception):\n    def __str__(self): raise RuntimeError\nraise E",
        "assets/broken.py:3: E: (its text cannot be shown)",
    ),
    "an exception in a library": (
        "import json\n\njson.loads('{')\n",
        "assets/broken.py:3: JSONDecodeError: Expecting property name",
    ),
    "a syntax error in a text": ("\ncompile('(', '<text>', 'exec')", "assets/broken.py:2: SyntaxError: '(' was never"),
    "a missing file": ("from tasks import nothing", "assets/broken.py:1: ImportError: cannot import name 'nothing'"),
    "a missing module": ("import tasks.nothing", "assets/broken.py:1: ModuleNotFoundError: No module named"),
    "a null byte": ("x = '\0'", "assets/broken.py: SyntaxError: source code"),
}


@pytest.mark.parametrize("arguments", ["3, OSError", "attempts=3", "0", "retry_on=BaseException"])
def test_a_wrong_retry_policy_is_told_which_fields_there_are(read, arguments):
    (problem,) = told(read({"tasks/a.py": f"from sqlbuild.retries import RetryPolicy\nRetryPolicy({arguments})"}))
    assert problem.startswith("error[IMPORT] tasks/a.py:2: ")
    assert "help: the fields of RetryPolicy are max_attempts, retry_on, initial_delay_seconds" in problem


@pytest.mark.parametrize(("text", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_one_problem_and_the_others_are_read(read, text, expected):
    files = read({"assets/broken.py": text, "tasks/orders.py": TASK, "assets/also.py": "from tasks.orders import *"})
    (problem,) = told(files)
    assert problem.startswith(f"error[IMPORT] {expected}")
    assert "\n  help: " in problem
    assert [node.declared.name for node in files.nodes] == ["export_orders"]


def test_an_undecodable_file_is_one_problem(read, tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "latin.py").write_bytes(b"x = 'caf\xe9'\n")
    (problem,) = read({}, only=["assets/latin.py"]).problems
    assert (problem.code, problem.path) == ("IMPORT", "assets/latin.py")


def test_an_error_in_a_shared_file_is_told_once_at_its_place(read):
    files = read(
        {
            "_shared.py": "COUNT = 1\nraise RuntimeError('broken')",
            "assets/a.py": "import _shared",
            "assets/b.py": "import _shared",
            "assets/c.py": "import assets.b",
        }
    )
    assert told(files) == [
        "error[IMPORT] _shared.py:2: RuntimeError: broken\n"
        "  help: the file must be importable; move what can fail into the node's function"
    ]


def test_a_failing_file_runs_once_however_many_import_it(read, tmp_path):
    read(
        {
            "_shared.py": f"open({str(tmp_path / 'log')!r}, 'a').write('x')\nraise RuntimeError",
            **{f"assets/a{number}.py": "import _shared" for number in range(3)},
        }
    )
    assert (tmp_path / "log").read_text() == "x"


def test_an_import_that_may_fail_is_no_problem(read):
    files = read(
        {
            "_optional.py": "import surely_not_installed",
            "assets/a.py": """
                try:
                    import _optional
                except ImportError:
                    _optional = None
            """,
        }
    )
    assert files.problems == ()


def test_files_that_import_each_other_get_advice(read):
    files = read({"assets/a.py": "from assets.b import x\ny = 1", "assets/b.py": "from assets.a import y\nx = 1"})
    (problem,) = files.problems
    assert (problem.path, problem.line) == ("assets/b.py", 1)
    assert "import each other" in problem.help


def test_wrong_decorations_of_all_files_are_told_together(read):
    wrong = """
        from sqlbuild.assets import asset

        @asset(tags="x")
        def {name}(ctx): ...

        @asset
        class Export: ...

        @asset(columns=[{{"name": "id", "typ": "INTEGER"}}])
        def {name}_two(ctx): ...
    """
    files = read({"assets/a.py": wrong.format(name="a"), "assets/b.py": wrong.format(name="b")})
    assert [(problem.code, problem.path, problem.line) for problem in files.problems] == [
        (code, path, line)
        for path in ("assets/a.py", "assets/b.py")
        for code, line in (("DECLARATION", 4), ("DECORATED", 7), ("DECLARATION", 10))
    ]
    assert len(files.nodes) == 4


def test_late_binding_and_wrong_functions_are_problems_of_the_project(read):
    files = read(
        {
            "assets/a.py": """
                from __future__ import annotations
                from typing import TYPE_CHECKING
                import functools
                from sqlbuild.assets import asset
                if TYPE_CHECKING:
                    from sqlbuild.assets import AssetContext

                for carrier in ("aa", "ua"):
                    @asset(name=carrier)
                    def export(ctx):
                        return carrier

                @asset
                async def waits(ctx: AssetContext, client): ...

                @functools.lru_cache
                def cached(): ...

                def logged(function):
                    return functools.wraps(function)(lambda *args: function(*args))

                @logged
                @asset
                def hidden(ctx): ...

                @functools.lru_cache
                @asset
                def kept(ctx): ...
            """
        }
    )
    assert [(problem.code, problem.line) for problem in files.problems] == [
        ("LATE_BINDING", 10),
        ("PARAMETER", 14),
        ("CONTEXT_KIND", 14),
        ("DECORATED", 23),
        ("DECORATED", 27),
    ]
    assert "another decorator above @asset" in files.problems[3].message


def test_what_files_print_does_not_reach_stdout(read, capsys):
    read({"assets/a.py": "print('loud')"})
    assert capsys.readouterr() == ("", "loud\n")


def test_the_current_folder_is_put_back(read, tmp_path):
    before = os.getcwd()
    (tmp_path / "data").mkdir()
    files = read({"assets/a.py": f"import os\nos.chdir({str(tmp_path / 'data')!r})", "tasks/orders.py": TASK})
    assert os.getcwd() == before
    assert [(problem.code, problem.severity, problem.path) for problem in files.problems] == [
        ("FOLDER", "warning", "assets/a.py")
    ]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_file_that_forks_is_a_problem_and_its_child_ends(read, tmp_path):
    files = read(
        {
            "assets/a.py": f"""
                import os
                import sys

                child = os.fork()
                if child:
                    _, status = os.waitpid(child, 0)
                    open({str(tmp_path / "status")!r}, "w").write(str(os.waitstatus_to_exitcode(status)))
                else:
                    sys.exit()
            """,
            "tasks/orders.py": TASK,
        }
    )
    assert [(problem.code, problem.path, problem.line) for problem in files.problems] == [("FORK", "assets/a.py", 5)]
    assert (tmp_path / "status").read_text() == "1"


def test_an_interrupt_while_importing_goes_through_and_leaves_nothing_open(read, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        read({"assets/a.py": "raise KeyboardInterrupt", "tasks/orders.py": TASK})
    assert str(tmp_path) not in sys.path
    assert "assets" not in sys.modules


def test_names_that_python_cannot_import_are_told(read, tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "gone.py").symlink_to(tmp_path / "nowhere")
    files = read({"assets/a.b.py": TASK, "assets/my-exports.py": TASK}, only=[
        "assets/a.b.py", "assets/my-exports.py", "assets/gone.py"])  # fmt: skip
    assert [(problem.code, problem.path) for problem in files.problems] == [
        ("FILE", "assets/a.b.py"),
        ("FILE", "assets/gone.py"),
    ]
    assert [node.declared.name for node in files.nodes] == ["export_orders"]


def test_a_function_imported_when_a_node_runs_is_found(read):
    files = read(
        {
            "tasks/orders.py": """
                from sqlbuild.tasks import task

                @task
                def export(ctx):
                    from tasks._late import VALUE
                    return VALUE
            """,
            "tasks/_late.py": "VALUE = 3",
        }
    )
    assert files.nodes[0].declared.function(None) == 3


@pytest.mark.slow
def test_ten_thousand_nodes_of_one_file_and_a_thousand_files_are_read_quickly(read):
    import time

    loop = """
        from sqlbuild.assets import asset

        def helper(value):
            return value + LIMIT

        LIMIT = 10
        for index in range(10_000):
            @asset(name=f"node_{index}")
            async def node(ctx, index=index):
                return helper(index)
    """
    started = time.process_time()
    files = read({"assets/loop.py": loop})
    assert (len(files.nodes), files.problems) == (10_000, ())
    assert time.process_time() - started < 2.5
    many = {f"assets/a_{number}.py": TASK.replace("export_orders", f"export_{number}") for number in range(1_000)}
    started = time.process_time()
    files = read(many)
    assert (len(files.nodes), files.problems) == (1_000, ())
    assert time.process_time() - started < 5.0
