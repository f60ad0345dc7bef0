from __future__ import annotations

import pytest

from sqlbuild.warehouses.duckdb_types import common, fits, wider


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("INTEGER", "INTEGER", "INTEGER"),
        ("SMALLINT", "BIGINT", "BIGINT"),
        ("UTINYINT", "UINTEGER", "UINTEGER"),
        ("INTEGER", "UTINYINT", "INTEGER"),
        ("INTEGER", "UINTEGER", "BIGINT"),
        ("TINYINT", "UHUGEINT", None),
        ("FLOAT", "DOUBLE", "DOUBLE"),
        ("DECIMAL(10,2)", "DECIMAL(5, 4)", "DECIMAL(12,4)"),
        ("DECIMAL(38,2)", "DECIMAL(38,6)", "DECIMAL(38,6)"),
        ("BIGINT", "DOUBLE", None),
        ("BIGINT", "DECIMAL(10,2)", None),
        ("DATE", "TIMESTAMP", None),
        ("VARCHAR", "BIGINT", None),
        ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", None),
    ],
)
def test_a_table_becomes_wider_only_within_a_family_of_types(one, other, both):
    assert wider(one, other) == wider(other, one) == both


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("BIGINT", "DOUBLE", "DOUBLE"),
        ("INTEGER", "DECIMAL(10,2)", "DECIMAL(12,2)"),
        ("BIGINT", "DECIMAL(38,2)", "DECIMAL(38,2)"),
        ("DATE", "TIMESTAMP", "TIMESTAMP"),
        ("TIMESTAMP_S", "TIMESTAMP", "TIMESTAMP"),
        ("DATE", "TIMESTAMP WITH TIME ZONE", None),
        ("BIGINT", "VARCHAR", None),
        ("BOOLEAN", "BIGINT", None),
        ("JSON", "VARCHAR", None),
        ("DECIMAL(10,2)", "DOUBLE", None),
    ],
)
def test_the_values_of_one_load_may_mix_numbers_and_dates_with_times(one, other, both):
    assert common(one, other) == common(other, one) == both


@pytest.mark.parametrize(
    ("given", "held", "does"),
    [
        ("INTEGER", "BIGINT", True),
        ("BIGINT", "INTEGER", False),
        ("BIGINT", "DOUBLE", True),
        ("BIGINT", "DECIMAL(10,2)", True),
        ("DOUBLE", "BIGINT", False),
        ("DATE", "TIMESTAMP", True),
        ("TIMESTAMP", "DATE", False),
        ("DECIMAL(10,2)", "DECIMAL(12,4)", True),
        ("DECIMAL(38,2)", "DECIMAL(38,0)", False),
        ("VARCHAR", "JSON", False),
        ("BIGINT", "VARCHAR", False),
    ],
)
def test_values_fit_a_column_where_none_is_changed_silently(given, held, does):
    assert fits(given, held) is does
