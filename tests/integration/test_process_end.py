"""What the author's code leaves open when the command is over is written, however fast the process ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

NODE = "from sqlbuild.tasks import task\n@task\ndef one(ctx):\n    return 1\n"


@pytest.mark.parametrize(
    "left_open",
    [
        'handle = open("left.txt", "w")\nhandle.write("whole")\n',
        'class Log:\n    handle = open("left.txt", "w")\nLog.handle.write("whole")\n',
        'import subprocess\nchild = subprocess.Popen(["tee", "left.txt"], stdin=subprocess.PIPE, text=True)\nchild.stdin.write("whole")\n'
        "import atexit\natexit.register(lambda: (child.stdin.close(), child.wait()))\n",
        'import atexit, pathlib\natexit.register(lambda: pathlib.Path("left.txt").write_text("whole"))\n',
        "import threading, pathlib, time\n"
        "def late():\n    threading.main_thread().join()\n    pathlib.Path('left.txt').write_text('whole')\n"
        "threading.Thread(target=late).start()\n",
    ],
    ids=["file", "file of a class", "pipe", "atexit", "thread"],
)
def test_what_a_project_leaves_open_is_written(project, left_open):
    project.write({"tasks/t.py": left_open + NODE})
    project.build()
    assert (project.root / "left.txt").read_text() == "whole"


def test_exit_codes_and_output_are_whole(project):
    project.write({"tasks/t.py": NODE.replace("return 1", "raise ValueError('x' * 100_000)")})
    failed = project.sqb("build", "--json")
    assert failed.code == 1
    assert failed.json["exit_code"] == 1


def test_a_profiler_or_debugger_sees_the_end(project):
    project.write({"tasks/t.py": NODE})
    command = [sys.executable, "-m", "cProfile", "-s", "cumtime", "-m", "sqlbuild", "build"]
    profiled = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
    assert "function calls" in profiled.stdout
    assert profiled.returncode == 0
