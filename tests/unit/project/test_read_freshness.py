from __future__ import annotations

import pytest

from sqlbuild.domain.freshness import Freshness, FreshnessStrategy, VersionKind
from sqlbuild.project.read_yaml import read_sources
from sqlbuild.project.text_file import TextFile

COLUMNS = "[{name: at, type: 'TIMESTAMP(3)'}, {name: n, type: BIGINT}, {name: d, type: DATE}, {name: plain}]"


def read(freshness):
    problems = []
    text = f"sources:\n  - name: raw\n    columns: {COLUMNS}\n    freshness: {freshness}\n"
    (source,) = read_sources(TextFile("sources/raw.yml", text), problems)
    return source.freshness, [(problem.code, problem.message) for problem in problems]


@pytest.mark.parametrize(
    ("written", "fields"),
    [
        ("{}", {"strategy": FreshnessStrategy.ADAPTER}),
        ("{strategy: adapter}", {"strategy": FreshnessStrategy.ADAPTER}),
        ("{column: at}", {"strategy": FreshnessStrategy.COLUMN, "column": "at", "kind": VersionKind.TIMESTAMP}),
        ("{column: N}", {"strategy": FreshnessStrategy.COLUMN, "column": "N", "kind": VersionKind.INTEGER}),
        (
            "{column: plain, type: string, filter: 'n > 1'}",
            {
                "strategy": FreshnessStrategy.COLUMN,
                "column": "plain",
                "kind": VersionKind.STRING,
                "filter": "n > 1",
            },
        ),
        (
            "{strategy: sql, query: 'SELECT 1', type: integer}",
            {"strategy": FreshnessStrategy.SQL, "query": "SELECT 1", "kind": VersionKind.INTEGER},
        ),
        (
            "{column: at, lag_tolerance: 90m, age_policy: {warn_after: 1d, error_after: 48h}}",
            {
                "strategy": FreshnessStrategy.COLUMN,
                "column": "at",
                "kind": VersionKind.TIMESTAMP,
                "lag_tolerance": 5_400.0,
                "warn_after": 86_400.0,
                "error_after": 172_800.0,
            },
        ),
    ],
)
def test_freshness_is_read(written, fields):
    assert read(written) == (Freshness(**fields), [])


KEY = "sources[0].freshness"


@pytest.mark.parametrize(
    ("written", "code", "message"),
    [
        ("{column: at, query: 'SELECT 1'}", "BAD_VALUE", f"`{KEY}` has both `column` and `query`"),
        ("{column: d}", "MISSING_KEY", f"`{KEY}.type` is missing"),
        ("{query: 'SELECT 1'}", "MISSING_KEY", f"`{KEY}.type` is missing"),
        (
            "{column: at, type: integer}",
            "BAD_VALUE",
            f"`{KEY}.type` is integer, but the column is declared as timestamp",
        ),
        ("{type: integer}", "BAD_VALUE", f"`{KEY}.type` needs `column` or `query`"),
        ("{strategy: column, type: integer}", "MISSING_KEY", f"`{KEY}.column` is missing"),
        ("{strategy: adapter, column: at}", "BAD_VALUE", f"`{KEY}.column` does not go with the strategy adapter"),
        ("{strategy: sqll}", "BAD_VALUE", f"`{KEY}.strategy`: unknown value 'sqll'"),
        ("{column: n, lag_tolerance: 1h}", "BAD_VALUE", f"`{KEY}.lag_tolerance` needs `type: timestamp`"),
        (
            "{column: at, lag_tolerance: soon}",
            "BAD_VALUE",
            f'`{KEY}.lag_tolerance` must be a duration, not text "soon"',
        ),
        ("{column: at, lag_tolerence: 1h}", "UNKNOWN_KEY", f"unknown key `{KEY}.lag_tolerence`"),
        ("7", "WRONG_TYPE", f"`{KEY}` must be a table, not the number 7"),
    ],
)
def test_what_is_wrong_is_told(written, code, message):
    _, problems = read(written)
    assert (code, message) in problems
