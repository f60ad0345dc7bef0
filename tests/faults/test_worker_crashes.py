"""Fault 6: a node that ends its process fails alone where it has one of its own, with what ended it."""

from __future__ import annotations

import pytest

CRASHES = {
    "segfaults": ("ctypes.string_at(0)", "was killed by SIGSEGV"),
    "aborts": ("os.abort()", "was killed by SIGABRT"),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
    "leaves": ("os._exit(3)", "ended with exit code 3"),
    "leaves_in_peace": ("os._exit(0)", "ended with exit code 0"),
    "kills_its_group": ("os.killpg(0, signal.SIGKILL)", "was killed by SIGKILL"),
    "closes_everything": ("os.closerange(3, 100)", "ended with exit code 1"),
}
HEAD = """
    import ctypes, os, signal, sys, time
    from sqlbuild.tasks import task
"""


def isolated(name: str, *lines: str) -> str:
    body = "\n".join(f"        {line}" for line in lines)
    return f'\n    @task(isolate="process")\n    def {name}(ctx):\n{body}\n'


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_crash_fails_its_node_with_the_cause_and_nobody_else(faulty, backend):
    nodes = [isolated(name, code) for name, (code, _) in CRASHES.items()]
    nodes += [isolated(f"after_{name}", "return os.getpid()") for name in CRASHES]
    faulty.write({"tasks/t.py": HEAD + "".join(nodes)})
    # With one worker at a time each crash is followed by a node that needs a new one.
    finished = faulty.sqb("build", "--threads", "1", "--backend", backend)
    assert finished.exit_code == 1, finished.output
    for name, (_, how) in CRASHES.items():
        result = faulty.result(name)
        assert (result["status"], result["error"]["type"]) == ("failed", "WorkerLost")
        assert result["error"]["message"] == f"the worker process {how}"
        assert result["error"]["path"] == "tasks/t.py"
        assert faulty.statuses()[f"after_{name}"] == "succeeded"
    assert "Traceback" not in finished.output


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("sys.exit(4)", "the node called sys.exit(4)"),
        ("raise KeyboardInterrupt", "the node raised KeyboardInterrupt"),
        ("raise BaseException('whatever')", "whatever"),
    ],
)
def test_leaving_by_an_exception_fails_the_node_and_keeps_the_worker(faulty, code, message):
    faulty.write({"tasks/t.py": HEAD + isolated("leaves", "print('pid', os.getpid())", code)})
    finished = faulty.sqb("build")
    assert finished.exit_code == 1, finished.output
    error = faulty.result("leaves")["error"]
    assert error["message"] == message
    assert error["line"] == 7


def test_the_log_of_a_crash_says_where_it_was_and_what_was_written_before(faulty):
    code = isolated("segfaults", "os.write(1, b'native words\\n')", "print('spoken')", "ctypes.string_at(0)")
    faulty.write({"tasks/t.py": HEAD + code})
    faulty.sqb("build")
    log = faulty.log("segfaults")
    assert "native words" in log
    assert "spoken" in log
    assert "Segmentation fault" in log
    assert "tasks/t.py" in log


def test_a_crash_is_tried_again_in_a_new_worker(faulty):
    faulty.write(
        {
            "tasks/t.py": """
                import os
                from sqlbuild.retries import RetryPolicy
                from sqlbuild.tasks import task

                @task(isolate="process", retry=RetryPolicy(max_attempts=2, initial_delay_seconds=0))
                def flaky(ctx):
                    if ctx.attempt == 1:
                        os._exit(1)
                    return ctx.attempt
            """
        }
    )
    faulty.build()
    result = faulty.result("flaky")
    assert (result["payload"], len(result["retried"])) == (2, 1)


def test_an_exit_in_the_process_of_the_run_is_not_taken_for_success(faulty):
    """What has no process of its own ends the run; the next one begins where it was."""
    faulty.write(
        {
            "tasks/t.py": """
                import os, pathlib
                from sqlbuild.tasks import task

                @task
                def first(ctx):
                    return 1

                @task(depends_on=first)
                def leaves(ctx):
                    if not pathlib.Path("stay").exists():
                        os._exit(7)
            """
        }
    )
    assert faulty.sqb("build").exit_code == 7
    (run,) = (faulty.root / "target/runs").iterdir()
    records = (run / "journal.jsonl").read_text()
    assert records.index('"succeeded"') < records.rindex('"task:leaves"'), "what had ended was kept"
    (faulty.root / "stay").touch()
    faulty.build()
    assert faulty.statuses() == {"first": "succeeded", "leaves": "succeeded"}
