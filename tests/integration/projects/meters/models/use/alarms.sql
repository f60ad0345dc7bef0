MODEL (
  incremental_strategy append,
  cursor read_at,
  cursor_inputs (
    stg_readings read_at,
  ),
  append_cursor_inclusive false,
  full_refresh false,
  pre_hooks [python("only_with_a_limit")],
  post_hooks [
    inline_sql("CREATE TABLE IF NOT EXISTS plant.alarm_runs (target VARCHAR(20), alarms BIGINT)"),
    inline_sql("INSERT INTO plant.alarm_runs SELECT '@@CTX:run.target', COUNT(*) FROM @@CTX:destination.qualified WHERE wh > @@alarm_above"),
  ],
);
SELECT read_at, meter_id, wh FROM __ref("stg_readings") WHERE wh > @py.alarm_limit()
