MODEL (
  incremental_strategy merge,
  unique_key [use_day, meter_id],
  cursor use_day,
  cursor_grain day,
  cursor_inputs (
    hourly_use hour_at,
  ),
  lookback 1d,
  on_schema_change sync_all_columns,
  replay_on_change forward,
);
SELECT DATE_TRUNC('day', hour_at) AS use_day, meter_id, __udf("kwh")(@py.summed("wh")) AS kwh
FROM __ref("hourly_use")
GROUP BY 1, 2
