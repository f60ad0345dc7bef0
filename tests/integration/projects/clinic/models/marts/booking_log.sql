MODEL (
  materialized incremental,
  incremental_strategy append,
  cursor booked_at,
  cursor_type timestamp,
  append_cursor_inclusive false,
  pre_hooks [
    inline_sql("CREATE TABLE IF NOT EXISTS hospital.build_log (phase VARCHAR(20), noted VARCHAR(80), bookings BIGINT)"),
  ],
  post_hooks [
    inline_sql("INSERT INTO hospital.build_log SELECT 'sql', '@@CTX:model.name', COUNT(*) FROM @@CTX:destination.qualified"),
    python("note", word: "python"),
  ],
);
SELECT booked_at, appointment_id, clinician
FROM __ref("stg_appointments")
WHERE booked_at >= __cursor_start() AND booked_at < __cursor_end()
