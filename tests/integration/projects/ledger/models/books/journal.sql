MODEL (
  incremental_strategy append,
  cursor entry_no,
  cursor_type integer,
  append_cursor_inclusive false,
  on_schema_change append_new_columns,
  audits [no_zero (column cents)],
);
SELECT entry_no, account, cents, currency FROM __ref("stg_entries")
