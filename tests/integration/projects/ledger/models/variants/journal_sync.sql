MODEL (on_schema_change sync_all_columns);
SELECT entry_no, account, cents, currency FROM __ref("stg_entries")
