"""Names of staging tables tell the run that they are of, and are never cut off."""

from __future__ import annotations

import pytest

from sqlbuild.app.building import new_run_id
from sqlbuild.runner.staging import run_of_staging, staging_name


@pytest.mark.parametrize("relation", ["orders", "Orders_of_All_Customers_of_Last_Year", "ü" * 60])
def test_a_staging_table_tells_its_run_and_is_not_cut_off(relation):
    run_id = new_run_id()
    name = staging_name(run_id, relation)
    assert run_of_staging(name) == run_id.lower()
    assert len(name.encode()) <= 63
    assert name == name.lower()


def test_long_names_of_two_tables_stay_apart():
    names = {staging_name("20260101T000000Z-abcdef", f"{'orders_' * 10}{number}") for number in range(100)}
    assert len(names) == 100


def test_other_names_are_of_no_run():
    assert run_of_staging("orders") is None
    assert run_of_staging("_sqlbuild_staging__orders") == ""
