MODEL (on_schema_change fail);
SELECT entry_no, account, cents, currency FROM __ref("stg_entries")
