"""A flow that submits its tasks, with a server in a process of its own that ends with it."""

from __future__ import annotations

import os
import tempfile
import warnings

from timed import read_graph, timed

SETTINGS = {
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(SETTINGS, PREFECT_HOME=folder, HOME=folder)
        os.environ.pop("PREFECT_API_URL", None)
        warnings.simplefilter("ignore")
        from prefect import flow, task
        from prefect.task_runners import ThreadPoolTaskRunner

        @task
        def noop() -> None:
            return None

        @flow
        def nothing() -> None:
            pass

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=16))
        def noops(graph: list[list[int]]) -> None:
            futures = []
            for upstreams in graph:
                futures.append(noop.submit(wait_for=[futures[each] for each in upstreams]))
            for future in futures:
                future.result()

        nothing()
        graph = read_graph()
        with timed():
            noops(graph)
