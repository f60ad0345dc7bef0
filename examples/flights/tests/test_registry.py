"""Tests of nodes that talk to a service, without the service. Run `pytest` in the folder of the example."""

import pytest
from sqlbuild.testing import Status, run_node

from assets.slices import SLICES
from tasks import reconcile_registry as module
from tasks.reconcile_registry import reconcile_registry
from tasks.registry_ready import registry_ready

EXPORTED = {exported: {"slice": f"slice_{number}", "flights": number} for number, exported in enumerate(SLICES)}


@pytest.fixture
def known(monkeypatch):
    """What the registry knows: the same as was exported, unless a test changes it."""
    monkeypatch.setenv("FLIGHTS_REGISTRY", "http://registry.invalid")
    summaries = [dict(summary) for summary in EXPORTED.values()]

    async def registered(run_id):
        return summaries

    monkeypatch.setattr(module, "registered", registered)
    return summaries


def test_without_a_registry_nothing_is_asked_for(monkeypatch):
    monkeypatch.delenv("FLIGHTS_REGISTRY", raising=False)
    assert run_node(registry_ready).status is Status.SKIPPED
    assert run_node(reconcile_registry).status is Status.SKIPPED


def test_a_registry_that_knows_every_slice_is_reconciled(known):
    run = run_node(reconcile_registry, results=EXPORTED)
    assert run.payload == {"summaries": len(SLICES), "flights": sum(range(len(SLICES)))}


def test_a_slice_that_the_registry_counts_otherwise_is_named(known):
    known[7]["flights"] += 1
    with pytest.raises(ValueError, match="1 slices: slice_7"):
        run_node(reconcile_registry, results=EXPORTED)
