MODEL (materialized table, contract enforced, columns (meter_id (type INTEGER), limit_wh (type INTEGER)));
SELECT meter_id, limit_wh FROM __table_fn("meters_at")('Yard	2')
