MODEL (
  cursor peak_day,
  cursor_grain day,
  cursor_inputs (
    hourly_use hour_at,
  ),
  incremental_mode microbatch,
  batch_size 1d,
  microbatch_limit (max_batches 2, action cap_from_start),
);
SELECT DATE_TRUNC('day', hour_at) AS peak_day, MAX(wh) AS wh FROM __ref("hourly_use") GROUP BY 1
