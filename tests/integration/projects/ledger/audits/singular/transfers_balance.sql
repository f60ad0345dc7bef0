AUDIT (tags [nightly]);
SELECT transfer_no, SUM(cents) AS cents FROM __ref("stg_entries") GROUP BY transfer_no HAVING SUM(cents) <> 0
