MODEL (
  description "By its key alone: an account without entries keeps what it had",
  incremental_strategy delete_insert,
  unique_key [account],
);
SELECT account, COUNT(*) AS entries
FROM __ref("journal")
GROUP BY account
