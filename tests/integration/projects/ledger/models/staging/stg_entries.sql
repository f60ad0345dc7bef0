MODEL (
  contract enforced,
  columns (
    entry_no (nullable false, audits [not_null, unique]),
    transfer_no (),
    account (),
    cents (type BIGINT),
    currency (description "what it was booked in", audits [relationships (to __seed("currencies"), field code)]),
    note (),
  ),
);
SELECT
  e.entry_no,
  e.transfer_no,
  e.account,
  __udf("to_euro_cents")(e.cents, r.rate) AS cents,
  e.currency,
  e.note
FROM __source("raw_entries") AS e
JOIN __source("raw_rates") AS r ON r.code = e.currency
