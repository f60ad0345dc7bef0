FUNCTION (
  arguments (wanted VARCHAR, at_least BIGINT),
  returns table (entry_no BIGINT, cents BIGINT),
);
SELECT entry_no, cents FROM __ref("journal") WHERE account = wanted AND ABS(cents) >= at_least
