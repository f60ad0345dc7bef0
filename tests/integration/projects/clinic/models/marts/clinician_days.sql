MODEL (
  materialized incremental,
  incremental_strategy delete_insert,
  cursor visited_on,
  cursor_type timestamp,
  cursor_grain day,
  cursor_inputs (
    visits starts_at,
  ),
  lookback 1d,
  replay_on_change full,
  columns (
    fees (audits [not_null (run_scope delta_and_final)]),
  ),
);
SELECT CAST(starts_at AS DATE) AS visited_on, clinician, COUNT(*) AS visits, @py.total("fee") AS fees
FROM __ref("visits")
GROUP BY 1, 2
