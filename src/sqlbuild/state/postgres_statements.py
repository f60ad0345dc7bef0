"""The state tables in PostgreSQL, which reads rows: a few by an index for each node or run, however long the history is."""

from __future__ import annotations

from sqlbuild.state.statements import StateStatements

# `WITH RECURSIVE` steps from one name to the next in the index; DISTINCT would read all of it.
_PAST = """
WITH RECURSIVE nodes (node_id) AS (
    (SELECT node_id FROM {results} ORDER BY node_id LIMIT 1)
    UNION ALL
    SELECT (SELECT r.node_id FROM {results} AS r WHERE r.node_id > nodes.node_id ORDER BY r.node_id LIMIT 1)
    FROM nodes
    WHERE nodes.node_id IS NOT NULL
)
SELECT nodes.node_id, latest.status, latest.run_id, latest.stored_at, success.run_id, success.fingerprint,
    success.finished_at, success.seconds
FROM nodes
CROSS JOIN LATERAL (
    SELECT r.status, r.run_id, r.stored_at
    FROM {results} AS r
    WHERE r.node_id = nodes.node_id
    ORDER BY r.stored_at DESC
    LIMIT 1
) AS latest
CROSS JOIN LATERAL (
    SELECT
        (array_agg(run_id ORDER BY stored_at DESC))[1] AS run_id,
        (array_agg(fingerprint ORDER BY stored_at DESC))[1] AS fingerprint,
        (array_agg(finished_at ORDER BY stored_at DESC))[1] AS finished_at,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY duration) AS seconds
    FROM (
        SELECT r.run_id, r.fingerprint, r.finished_at, r.duration, r.stored_at
        FROM {results} AS r
        WHERE r.node_id = nodes.node_id AND r.status IN ('succeeded', 'warned')
        ORDER BY r.stored_at DESC
        LIMIT 5
    ) AS recent
) AS success
ORDER BY nodes.node_id
"""
_LATEST_SUCCESS = """
SELECT {names}
FROM (SELECT DISTINCT unnest(CAST(? AS VARCHAR[])) AS wanted) AS nodes
CROSS JOIN LATERAL (
    SELECT *
    FROM {results} AS r
    WHERE r.node_id = nodes.wanted AND r.status IN ('succeeded', 'warned')
    ORDER BY r.stored_at DESC
    LIMIT 1
) AS latest
"""
# The beginning of a run that has a row of its own is in it; only those of others are looked for.
_NEWEST_RUNS = """
WITH RECURSIVE ids (run_id) AS (
    (SELECT run_id FROM {results} ORDER BY run_id LIMIT 1)
    UNION ALL
    SELECT (SELECT r.run_id FROM {results} AS r WHERE r.run_id > ids.run_id ORDER BY r.run_id LIMIT 1)
    FROM ids
    WHERE ids.run_id IS NOT NULL
),
found (run_id, began) AS (
    SELECT run_id, min(started_at) FROM {runs} GROUP BY run_id
    UNION ALL
    SELECT ids.run_id, (SELECT min(r.started_at) FROM {results} AS r WHERE r.run_id = ids.run_id)
    FROM ids
    WHERE ids.run_id IS NOT NULL AND NOT EXISTS (SELECT FROM {runs} AS told WHERE told.run_id = ids.run_id)
)
SELECT run_id, began
FROM found
ORDER BY began DESC NULLS LAST, run_id DESC
LIMIT ?
"""
_RUN_COUNTS = """
SELECT run_id, status, count(*)
FROM (
    SELECT DISTINCT ON (run_id, node_id) run_id, status
    FROM {results}
    WHERE run_id = ANY(CAST(? AS VARCHAR[]))
    ORDER BY run_id, node_id, stored_at DESC
) AS ended
GROUP BY run_id, status
"""
_RESULTS_OF_NODE = """
SELECT *
FROM (
    SELECT DISTINCT ON (run_id) *
    FROM {results}
    WHERE node_id = ?
    ORDER BY run_id, stored_at DESC
) AS ended
ORDER BY stored_at DESC
LIMIT ?
"""

POSTGRES_STATEMENTS = StateStatements(
    key_type='VARCHAR COLLATE "C"',
    indexes=(
        "CREATE INDEX IF NOT EXISTS _sqlbuild_results_of_node ON {results} (node_id, stored_at)",
        "CREATE INDEX IF NOT EXISTS _sqlbuild_successes_of_node ON {results} (node_id, stored_at) "
        "WHERE status IN ('succeeded', 'warned')",
        "CREATE INDEX IF NOT EXISTS _sqlbuild_results_of_run ON {results} (run_id, node_id)",
        "CREATE INDEX IF NOT EXISTS _sqlbuild_results_in_time ON {results} (stored_at)",
        "CREATE INDEX IF NOT EXISTS _sqlbuild_rows_of_run ON {runs} (run_id)",
        "CREATE INDEX IF NOT EXISTS _sqlbuild_commits_of_run ON {commits} (run_id)",
    ),
    past=_PAST,
    latest_success=_LATEST_SUCCESS,
    newest_runs=_NEWEST_RUNS,
    run_counts=_RUN_COUNTS,
    results_of_node=_RESULTS_OF_NODE,
)
