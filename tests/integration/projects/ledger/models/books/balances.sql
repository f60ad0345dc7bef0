MODEL (
  incremental_strategy merge,
  unique_key [account],
  cursor last_entry,
  cursor_type integer,
  cursor_inputs (
    journal (column entry_no, roles [watermark]),
  ),
  merge_exclude_columns [known_from],
);
SELECT account, SUM(cents)::BIGINT AS cents, MAX(entry_no) AS last_entry, __cursor_start() AS known_from
FROM __ref("journal")
WHERE account IN (
  SELECT j.account FROM __ref("journal") AS j WHERE j.entry_no >= __cursor_start() AND j.entry_no < __cursor_end()
)
GROUP BY account
