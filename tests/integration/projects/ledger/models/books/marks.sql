MODEL (
  incremental_strategy delete_insert,
  cursor entry_no,
  cursor_type integer,
  incremental_mode microbatch,
  batch_size 4,
  lookback 2,
  replay_on_change full,
  columns (side (audits [accepted_values (values ["debit", "credit", "D"])])),
);
SELECT entry_no, @py.side_of("cents") AS side FROM __ref("stg_entries")
