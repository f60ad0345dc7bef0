MODEL (
  incremental_strategy delete_insert,
  cursor entry_no,
  cursor_type integer,
  full_refresh true,
);
SELECT entry_no FROM __ref("stg_entries")
