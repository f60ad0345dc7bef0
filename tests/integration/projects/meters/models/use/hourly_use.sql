MODEL (
  cursor hour_at,
  cursor_grain hour,
  cursor_inputs (
    stg_readings (column read_at, roles [filter, watermark]),
  ),
  incremental_mode microbatch,
  batch_size 1d,
  replay_on_change bounded-1d,
  columns (
    hour_at (nullable false, audits [not_null (run_scope delta_and_final, severity error)]),
    wh (type BIGINT),
  ),
  audits [
    holds (name nothing_flows_back, expression "wh >= 0", run_scope delta_and_final, severity error),
    holds (name within_limits, expression "wh < 1200", run_scope final),
  ],
);
SELECT @py.hour_of("r.read_at") AS hour_at, r.meter_id, m.place, @py.summed("r.wh") AS wh
FROM __ref("stg_readings") AS r
JOIN __ref("stg_meters") AS m USING (meter_id)
GROUP BY 1, 2, 3
