"""Tasks that remember that they ran, with the local scheduler and one worker."""

from __future__ import annotations

import logging

import luigi
from timed import read_graph, timed

GRAPH = read_graph()
ENDED: set[int] = set()


class Noop(luigi.Task):
    number = luigi.IntParameter()

    def requires(self):
        return [Noop(number=each) for each in GRAPH[self.number]]

    def run(self):
        ENDED.add(self.number)

    def complete(self):
        return self.number in ENDED


logging.disable(logging.WARNING)
with timed():
    luigi.build(
        [Noop(number=number) for number in range(len(GRAPH))], local_scheduler=True, workers=1, log_level="ERROR"
    )
assert len(ENDED) == len(GRAPH), len(ENDED)
