"""What several processes find out about a project is what one finds out."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

LAYERS, WIDTH = 4, 40
COMPILE = """
import dataclasses
import sys

from sqlbuild.compiler.compile_project import compile_project
from sqlbuild.errors import ProjectError
from sqlbuild.executors.forked_analysis import ForkedAnalysis
from sqlbuild.project.load_project import load_project
from sqlbuild.state.analysis_cache import InMemoryAnalysisCache

found = []
for processes in (1, 3):
    cache = InMemoryAnalysisCache()
    with ForkedAnalysis(processes) as analyse_all:
        try:
            graph = compile_project(load_project(".", environ={}), cache, analyse_all=analyse_all)
            told = {id: (node.columns, dict(node.column_lineage), node.notes, node.fingerprint, node.sql)
                    for id, node in graph.nodes.items()}, graph.warnings
        except ProjectError as error:
            told = error.problems
        assert len(analyse_all._copies) == processes - 1
    found.append((told, sorted(cache.entries.items())))
assert found[0] == found[1]
if isinstance(told[0], dict):
    print(len(told[0]), "nodes")
else:
    print(*(problem.code for problem in told))
"""


def expression(chance: random.Random, table: str) -> str:
    return chance.choice(
        [
            "{t}.a",
            "{t}.b + 1",
            "CAST({t}.a AS VARCHAR)",
            "coalesce({t}.b, 0)",
            "CASE WHEN {t}.a > 1 THEN {t}.b END",
            "upper({t}.c)",
            "{t}.a / {t}.b",
            "(SELECT max(x) FROM (VALUES (1), (2)) AS v(x))",
            "row_number() OVER (PARTITION BY {t}.a ORDER BY {t}.b)",
        ]
    ).format(t=table)


def query(chance: random.Random, before: list[str]) -> str:
    if not before:
        return "SELECT 1 AS a, CAST(2 AS BIGINT) AS b, 'x' AS c FROM some_table"
    left, right = chance.sample(before, 2)
    items = ", ".join(f"{expression(chance, chance.choice('lr'))} AS {name}" for name in "abc")
    join = chance.choice(["JOIN", "LEFT JOIN", "FULL JOIN"])
    joined = f'SELECT {items} FROM __ref("{left}") AS l {join} __ref("{right}") AS r ON l.a = r.a'
    return chance.choice(
        [
            joined,
            f"WITH w AS ({joined}) SELECT * FROM w",
            f'{joined} UNION ALL SELECT * FROM __ref("{left}")',
            f'SELECT a, sum(b) AS b, any_value(c) AS c FROM __ref("{left}") GROUP BY a',
        ]
    )


def project(folder: Path, chance: random.Random, wrong: str = "") -> None:
    before: list[str] = []
    for layer in range(LAYERS):
        names = [f"m_{layer}_{number}" for number in range(WIDTH)]
        chance.shuffle(names)
        for name in names:
            path = folder / "models" / chance.choice(["one", "two"]) / f"{name}.sql"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"MODEL (materialized {chance.choice(['table', 'view'])});\n{query(chance, before)}\n")
        before = [*before[-WIDTH // 2 :], *names]
    (folder / "sqlbuild_project.toml").write_text('name = "shop"\n')
    if wrong:
        (folder / "models" / "wrong.sql").write_text(f"MODEL (materialized view);\n{wrong}\n")


@pytest.mark.parametrize(
    ("wrong", "told"), [("", "160 nodes\n"), ('SELECT l.nothing FROM __ref("m_1_1") AS l', "UNKNOWN_COLUMN\n")]
)
def test_several_processes_find_the_facts_and_problems_that_one_finds(tmp_path: Path, wrong: str, told: str) -> None:
    project(tmp_path, random.Random(len(wrong)), wrong)

    ended = subprocess.run(
        [sys.executable, "-c", COMPILE], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )

    assert (ended.stdout, ended.stderr) == (told, "")
