from __future__ import annotations

import pytest

from sqlbuild.domain.graph import Fingerprint, Node
from sqlbuild.domain.ids import NodeId, NodeKind, Place, Relation
from sqlbuild.domain.nodes import Model
from sqlbuild.errors import WarehouseError
from sqlbuild.runner.gates import Gates
from sqlbuild.runner.outcomes import Raised, Returned, Staged

PLACE = Place("models/orders.sql", 1)
ORDERS = Node(
    id=NodeId("model:orders"),
    kind=NodeKind.MODEL,
    name="orders",
    place=PLACE,
    declaration=Model(name="orders", place=PLACE, sql="SELECT 1", sql_line=1),
    fingerprint=Fingerprint(code="c", settings="s", upstream="u", total="t"),
)
STAGED = Relation("", "main", "staged")


class Work:
    """What was asked of something staged; `errors` are raised by the next promotions."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.done: list[str] = []

    def staged(self) -> Staged:
        return Staged(STAGED, self.promote, self.discard)

    async def promote(self, attempt: int) -> Returned:
        self.done.append(f"promoted in attempt {attempt}")
        if self.errors:
            raise self.errors.pop()
        return Returned()

    async def discard(self) -> None:
        self.done.append("discarded")


@pytest.fixture
def gates() -> Gates:
    return Gates({NodeId("audit:orders.a"): ORDERS.id, NodeId("audit:orders.b"): ORDERS.id})


async def test_what_is_staged_is_looked_at_until_it_is_promoted_and_is_not_dropped_then(gates):
    work = Work()
    assert ORDERS.id in gates
    assert gates.staged_relation(ORDERS.id) is None
    gated = gates.add(ORDERS, work.staged(), 1.5)
    assert gated.gates == ("audit:orders.a", "audit:orders.b")
    assert gates.staged_relation(ORDERS.id) == STAGED
    assert await gated.conclude(1) == Returned()
    assert gates.staged_relation(ORDERS.id) is None
    await gates.drop_what_is_left()
    assert work.done == ["promoted in attempt 1"]


async def test_what_is_rejected_is_dropped_and_its_audits_are_named(gates):
    work = Work()
    gated = gates.add(ORDERS, work.staged(), 0.0)
    gated.rejected_by = (NodeId("audit:orders.b"),)
    outcome = await gated.conclude(1)
    assert isinstance(outcome, Raised)
    assert outcome.error.args[0] == "1 of 2 audits did not pass: b; what was there before stays"
    await gates.drop_what_is_left()
    assert work.done == ["discarded"]


async def test_what_could_not_be_promoted_stays_staged_for_the_next_attempt(gates):
    work = Work(WarehouseError("locked", transient=True))
    gated = gates.add(ORDERS, work.staged(), 0.0)
    with pytest.raises(WarehouseError):
        await gated.conclude(1)
    assert gates.staged_relation(ORDERS.id) == STAGED
    assert await gated.conclude(2) == Returned()
    assert work.done == ["promoted in attempt 1", "promoted in attempt 2"]


async def test_whatever_is_staged_when_a_run_ends_is_dropped(gates):
    waiting, late = Work(), Work()
    gates.add(ORDERS, waiting.staged(), 0.0)
    gates.came_too_late(ORDERS, late.staged())
    await gates.drop_what_is_left()
    assert waiting.done == late.done == ["discarded"]
