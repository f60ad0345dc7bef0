MODEL (
  incremental_strategy merge,
  unique_key entry_no,
  cursor entry_no,
  cursor_type integer,
  cursor_start 2,
  cursor_end 5,
);
SELECT entry_no, cents FROM __ref("stg_entries")
