FUNCTION (
  description "How a passenger would call a delay",
  arguments (minutes BIGINT),
  returns VARCHAR,
);

CASE
  WHEN minutes IS NULL THEN 'cancelled'
  WHEN minutes <= 0 THEN 'on time'
  WHEN minutes < 30 THEN 'late'
  ELSE 'very late'
END
