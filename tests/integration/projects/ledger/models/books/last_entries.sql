MODEL (
  incremental_strategy delete_insert,
  unique_key [account],
  cursor entry_no,
  cursor_type integer,
);
SELECT entry_no, account, cents
FROM (
  SELECT entry_no, account, cents, ROW_NUMBER() OVER (PARTITION BY account ORDER BY entry_no DESC) AS place
  FROM __ref("journal")
) AS numbered
WHERE place = 1
