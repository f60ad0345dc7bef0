from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from sqlbuild.sql.query_analysis import QueryAnalysis

FOLDER = Path(__file__).parent


def lines(name: str) -> list[str]:
    return [line for line in (FOLDER / name).read_text().splitlines() if line and not line.startswith("--")]


@pytest.mark.parametrize("sql", lines("accepted_by_duckdb.sql"))
def test_what_is_inferred_is_what_duckdb_describes(
    sql: str, warehouse: duckdb.DuckDBPyConnection, analyse: Callable[..., QueryAnalysis]
) -> None:
    query = f"FROM ({sql})" if sql.startswith(("describe", "summarize")) else sql
    warehouse.execute(f"CREATE OR REPLACE TEMP TABLE described AS {query}")
    real = warehouse.execute("DESCRIBE described").fetchall()
    found = analyse(sql)
    assert found.findings == ()
    if found.columns is None:
        assert found.notes
        return
    assert [column.name for column in found.columns] == [row[0] for row in real]
    wrong = {
        column.name: (column.type, row[1])
        for column, row in zip(found.columns, real, strict=True)
        if column.type not in (None, row[1])
    }
    assert wrong == {}


@pytest.mark.parametrize("line", lines("rejected_by_duckdb.sql"))
def test_a_name_that_duckdb_does_not_find_is_found_wrong_at_its_place(
    line: str, warehouse: duckdb.DuckDBPyConnection, analyse: Callable[..., QueryAnalysis]
) -> None:
    sql, _, place = line.partition(" -- ")
    with pytest.raises(duckdb.Error):
        warehouse.execute(f"DESCRIBE {sql}")
    found = [f"{each.line}:{each.column}" for each in analyse(sql).findings]
    assert found == [place]
