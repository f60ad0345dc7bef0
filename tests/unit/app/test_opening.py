from __future__ import annotations

import subprocess
import sys


def test_opening_a_project_loads_nothing_that_runs_one_and_no_reader_of_yaml():
    code = (
        "import sys\n"
        "import sqlbuild.cli.open_project\n"
        "from sqlbuild.cli import compile_command\n"
        "assert 'sqlbuild.compiler.compile_project' in sys.modules\n"
        "running = {'asyncio', 'duckdb', 'sqlglot', 'yaml', 'sqlbuild.app.wiring', 'sqlbuild.runner.execute_plan'}\n"
        "assert not running & set(sys.modules), running & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
