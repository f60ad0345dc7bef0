MODEL (on_schema_change ignore);
SELECT entry_no, account, cents, currency FROM __ref("stg_entries")
