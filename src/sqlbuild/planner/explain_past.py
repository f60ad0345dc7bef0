"""Why a node ran in its past runs, as a plan would have said it then."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sqlbuild.domain.graph import Fingerprint, Node
from sqlbuild.domain.past import Past, PastNode
from sqlbuild.domain.results import SUCCESSES, NodeResult
from sqlbuild.planner.explain import explain


def explain_past(node: Node, results: Sequence[NodeResult], *, complete: bool) -> list[str]:
    """One text for each of `results`, which are the newest first: why the node ran, seen against those before.

    Empty for a result of a node that did not begin, and where that cannot be known. `complete`: there are no others.
    """
    texts: list[str] = []
    before: PastNode | None = None
    known = complete
    for result in reversed(results):
        fingerprint = Fingerprint.parse(result.fingerprint)
        text = ""
        if result.attempt and fingerprint is not None and known:
            past = Past() if before is None else Past(nodes={node.id: before})
            _, text = explain(dataclasses.replace(node, fingerprint=fingerprint), past)
        texts.append(text)
        before = _after(before, result)
        known = known or before.last_success_run_id is not None
    return texts[::-1]


def _after(before: PastNode | None, result: NodeResult) -> PastNode:
    if result.status in SUCCESSES:
        return PastNode(
            last_status=result.status,
            last_run_id=result.run_id,
            last_success_run_id=result.run_id,
            last_success_fingerprint=result.fingerprint,
        )
    known = before or PastNode(last_status=result.status, last_run_id=result.run_id)
    return known._replace(last_status=result.status, last_run_id=result.run_id)
