"""What the state tables say differently to each kind of warehouse; the rest is the same SQL for all of them."""

from __future__ import annotations

from sqlbuild.domain.record import record


@record(frozen=True, slots=True, kw_only=True)
class StateStatements:
    """Texts in which `{results}`, `{runs}` and `{commits}` stand for the quoted names of the tables."""

    key_type: str
    """The type of the columns `run_id` and `node_id`, which are ordered by their bytes."""
    indexes: tuple[str, ...]
    """Made with the tables; they do nothing where there is one of that name."""

    past: str
    """For each node, ordered by it: status, run and time of storing of its last result; run, fingerprint and end of its
    last success; the median of the durations of its last five successes."""
    latest_success: str
    """`{names}` of the last success of each node in a list of texts, the only parameter."""
    newest_runs: str
    """So many runs, by their beginning, newest first, those without an end too: run and beginning."""
    run_counts: str
    """Of the runs in a list of texts: run, status, and how many nodes ended so at last."""
    results_of_node: str
    """All columns of the last result of a node in each of the newest runs that had it; parameters: the node, how many."""
