MODEL (
  incremental_strategy delete_insert,
  cursor entry_no,
  cursor_type integer,
  replay_on_change bounded-3s,
);
SELECT entry_no, 'first' AS version FROM __ref("stg_entries")
