"""Where results are kept: the journal while a run lasts, the warehouse for good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from sqlbuild.domain.ids import NodeId
from sqlbuild.domain.past import Past
from sqlbuild.domain.results import NodeResult, RunResult, Status


class Journal(Protocol):
    """Append-only record of one run, written before and after each attempt; each call returns when the
    operating system has the record. Raises EngineError when it cannot be written."""

    def started(self, node: NodeId, attempt: int, at: float) -> None: ...

    def attempt_failed(self, node: NodeId, attempt: int, at: float, error: str) -> None: ...

    def checkpoints(
        self, node: NodeId, attempt: int, at: float, fingerprint: str, scope: str, entries: Sequence[tuple[str, str]]
    ) -> None:
        """What an attempt keeps for the next one: keys and JSON texts, by scope (see `RunCheckpoints`).

        They are good for a resumed run only if the node's `fingerprint` is the same then.
        """

    def finished(self, record: str, *, at_once: bool = True) -> None:
        """`record` is the JSON object text of `domain.results.NodeResult`, made once for journal and warehouse.

        Without `at_once` it is written together with the next record, or by `write_out`: for who does one of the two
        before anything else can happen.
        """

    def write_out(self) -> None:
        """Write what waits to be written."""

    def ended(self, result: RunResult) -> None: ...

    def close(self) -> None: ...


class StateStore(Protocol):
    """The lasting state of one target."""

    async def past(self) -> Past: ...

    async def latest_success(self, nodes: Iterable[NodeId]) -> Mapping[NodeId, NodeResult]:
        """The latest success of each node that has one, whatever its code, for `ctx.result_of`."""

    async def last_results(self, node: NodeId, limit: int) -> tuple[NodeResult, ...]:
        """Newest first."""

    async def last_successes(self, node: NodeId, limit: int) -> tuple[NodeResult, ...]:
        """Newest first, whatever their code, for `ctx.results_of`."""

    async def last_cursor(self, node: NodeId, key: str) -> str | None:
        """What the node's latest success that kept a cursor under `key` has kept (see `NodeResult.exports`)."""

    async def keep_sql(self, texts: Mapping[tuple[NodeId, str], str]) -> None:
        """Keep the SQL of models under the digest of it that is part of their fingerprints; what is kept already stays."""

    async def sql_of(self, wanted: Iterable[tuple[NodeId, str]]) -> Mapping[tuple[NodeId, str], str]:
        """What `keep_sql` was given, as far as it was."""

    async def keep_source_versions(self, versions: Mapping[NodeId, str]) -> None:
        """What was seen of the data of sources; `past` has the last of each."""

    async def begin(self) -> tuple[str, ...]:
        """Create the state tables if they do not exist, bring those of an earlier version to the present one, and
        forget markers that tell nothing any more; what the user should know of it. A read-only command never calls it.
        """

    async def append_results(self, records: list[str]) -> None:
        """Append results, each the JSON object text that the journal got; one transaction."""

    async def append_run(self, result: RunResult) -> None: ...

    async def stored_results(self, run_id: str) -> Mapping[tuple[NodeId, float | None], Status]:
        """By node and end (`NodeResult.finished_at`), every result that is kept of a run."""

    async def committed(self, run_id: str) -> frozenset[tuple[NodeId, int | None]]:
        """The nodes and attempts of a run of which the warehouse itself says, in `_sqlbuild_commits`, that they took
        effect. Markers of an earlier version do not say which attempt it was.
        """
