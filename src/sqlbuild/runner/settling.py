"""How nodes of a stopped run are recorded that had begun and are not done."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.results import FAILURES, Status
from sqlbuild.runner.attempts import Attempt
from sqlbuild.runner.gates import Gates
from sqlbuild.runner.ledger import Ledger
from sqlbuild.runner.records import Records


def settle_staged(
    staged: Mapping[NodeId, Attempt], gates: Gates, records: Records, ledger: Ledger, monotonic: Callable[[], float]
) -> None:
    """Models that have staged what they make, and wait for their gates or for a slot to go on."""
    results = ledger.results
    for node, attempt in staged.items():
        gated = gates.of(node)
        if gated is None or node in results:
            continue
        gated.rejected_by = tuple(gate for gate in gated.gates if gate in results and results[gate].status in FAILURES)
        attempt.started = monotonic() - gated.worked
        if gated.rejected_by:
            facts = {"error": records.describe(attempt, gated.refusal())}
            ledger.record(records.of_attempt(attempt, Status.FAILED, **facts))
        else:
            ledger.record(records.of_attempt(attempt, Status.CANCELLED))


def settle_retried(attempts_before: Mapping[NodeId, int], records: Records, ledger: Ledger) -> None:
    """Nodes that wait to be tried again; `attempts_before` are those of the run that is resumed."""
    for node, history in records.history.items():
        if node not in ledger.results:
            begun = attempts_before.get(node, 0) + len(history.errors)
            facts = {"attempt": begun, "retried": tuple(history.errors)}
            ledger.record(records.of_node(node, Status.CANCELLED, **facts))
