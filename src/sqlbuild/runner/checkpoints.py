"""What nodes keep between their attempts, in the journal first and then in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlbuild.domain.graph import Node
from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.masking import Masker
from sqlbuild.errors import EngineError
from sqlbuild.failpoints import failpoint
from sqlbuild.interfaces.clock import Clock
from sqlbuild.interfaces.state_store import Journal

Scopes = Mapping[str, Mapping[str, str]]
"""Scope -> key -> JSON text."""


class RunCheckpoints:
    """`stored` are those of the run that this one resumes; `failed` is told when the journal cannot be written.

    Secrets are masked: what a node reads later is what stands in the journal, in this run too.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        failed: Callable[[EngineError], None],
        stored: Mapping[NodeId, Scopes],
        masker: Masker | None = None,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._failed = failed
        self._masker = masker
        self._kept: dict[NodeId, dict[str, dict[str, str]]] = {
            node: {scope: dict(texts) for scope, texts in scopes.items()} for node, scopes in stored.items()
        }

    def of_node(self, node: NodeId, scope: str) -> dict[str, str]:
        return self._kept.setdefault(node, {}).setdefault(scope, {})

    def keep(self, node: Node, attempt: int, scope: str, entries: Sequence[tuple[str, str]]) -> None:
        """On the event loop; returns when they are written. Raises EngineError."""
        masker = self._masker
        if masker:
            entries = [(masker.text(key), masker.json_text(text)) for key, text in entries]
        try:
            self._journal.checkpoints(node.id, attempt, self._clock.now(), node.fingerprint.total, scope, entries)
        except EngineError as error:
            self._failed(error)
            raise
        failpoint("checkpoints.kept")
        self.of_node(node.id, scope).update(entries)

    def forget(self, node: NodeId) -> None:
        """It has ended: nobody asks any more."""
        self._kept.pop(node, None)
