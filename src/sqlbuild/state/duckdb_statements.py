"""The state tables in DuckDB, which reads whole columns: hash aggregates, and no indexes."""

from __future__ import annotations

from sqlbuild.state.statements import StateStatements

# Hash aggregates read half a million results four times as fast as window functions do.
_PAST = """
SELECT node_id, latest.status, latest.run_id, latest.stored_at, success.run_id, success.fingerprint,
    success.finished_at, list_aggregate(durations, 'median')
FROM (
    SELECT
        node_id,
        max_by({{'status': status, 'run_id': run_id, 'stored_at': stored_at}}, stored_at) AS latest,
        max_by({{'run_id': run_id, 'fingerprint': fingerprint, 'finished_at': finished_at}}, stored_at)
            FILTER (status IN ('succeeded', 'warned')) AS success,
        max_by(duration, stored_at, 5) FILTER (status IN ('succeeded', 'warned')) AS durations
    FROM {results}
    GROUP BY node_id
)
ORDER BY node_id
"""
_LATEST_SUCCESS = """
SELECT {names}
FROM {results}
JOIN (
    SELECT node_id, max(stored_at) AS stored_at
    FROM {results}
    WHERE status IN ('succeeded', 'warned') AND node_id IN (SELECT unnest(?))
    GROUP BY node_id
) USING (node_id, stored_at)
"""
_NEWEST_RUNS = """
SELECT run_id, min(began)
FROM (
    SELECT run_id, started_at AS began FROM {runs}
    UNION ALL
    SELECT run_id, min(started_at) FROM {results} GROUP BY run_id
)
GROUP BY run_id
ORDER BY min(began) DESC NULLS LAST, run_id DESC
LIMIT ?
"""
_RUN_COUNTS = """
SELECT run_id, status, count(*)
FROM (
    SELECT run_id, node_id, max_by(status, stored_at) AS status
    FROM {results}
    WHERE run_id IN (SELECT unnest(?))
    GROUP BY run_id, node_id
)
GROUP BY run_id, status
"""
_RESULTS_OF_NODE = """
SELECT *
FROM {results}
WHERE node_id = ?
QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY stored_at DESC) = 1
ORDER BY stored_at DESC
LIMIT ?
"""

DUCKDB_STATEMENTS = StateStatements(
    key_type="VARCHAR",
    indexes=(),
    past=_PAST,
    latest_success=_LATEST_SUCCESS,
    newest_runs=_NEWEST_RUNS,
    run_counts=_RUN_COUNTS,
    results_of_node=_RESULTS_OF_NODE,
)
