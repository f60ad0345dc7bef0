"""One worker with 16 threads in the same process as the scheduler and the client."""

from __future__ import annotations

from distributed import Client, LocalCluster
from timed import read_graph, timed


def noop(*_upstreams) -> None:
    return None


if __name__ == "__main__":
    graph = read_graph()
    with (
        LocalCluster(n_workers=1, threads_per_worker=16, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
        timed(),
    ):
        futures = []
        for number, upstreams in enumerate(graph):
            before = [futures[each] for each in upstreams]
            futures.append(client.submit(noop, *before, key=f"noop-{number}", pure=False))
        client.gather(futures)
