from __future__ import annotations

import io

import pytest

from sqlbuild.domain.events import NodeFinished
from sqlbuild.reporting.plain_console import PlainConsole
from sqlbuild.reporting.run_lines import RunLines


class CountingStream(io.StringIO):
    """Counts writes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def test_the_nodes_of_one_tick_are_one_write(make_graph, make_plan, started, make_result, start):
    stream = CountingStream()
    console = PlainConsole(stream, RunLines())
    console.handle(started(make_plan(make_graph({f"task:n{number}": [] for number in range(100)}))))
    assert stream.writes == 1
    for number in range(100):
        console.handle(NodeFinished(start, make_result(f"task:n{number}")))
    assert stream.writes == 1
    console.tick()
    console.tick()
    assert stream.writes == 2
    assert stream.getvalue().count("\n") == 101


def test_a_whole_run_reads_like_this(make_graph, make_plan, started, make_result, make_run, finished, start):
    stream = io.StringIO()
    console = PlainConsole(stream, RunLines())
    results = [make_result("model:orders"), make_result("asset:orders_export", materialized=True)]
    console.handle(started(make_plan(make_graph({"model:orders": [], "asset:orders_export": ["model:orders"]}))))
    for result in results:
        console.handle(NodeFinished(start, result))
    console.handle(finished(make_run(results)))
    console.close()
    assert stream.getvalue() == (
        "run r1 on target dev: 2 nodes (1 model, 1 asset)\n"
        "1/2  succeeded   model orders         250 ms\n"
        "2/2  succeeded   asset orders_export  250 ms\n"
        "\n"
        "slowest: orders 250 ms, orders_export 250 ms\n"
        "\n"
        "done in 2.00 s: 2 succeeded\n"
    )


def test_what_is_unwritten_is_written_on_close(make_result, start):
    stream = io.StringIO()
    console = PlainConsole(stream, RunLines())
    console.handle(NodeFinished(start, make_result("task:t")))
    assert stream.getvalue() == ""
    console.close()
    assert "task" in stream.getvalue()


def test_a_write_that_fails_is_not_tried_again(make_result, start):
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    console = PlainConsole(Full(), RunLines())
    console.handle(NodeFinished(start, make_result("task:t")))
    with pytest.raises(OSError, match="No space"):
        console.tick()
    console.close()
