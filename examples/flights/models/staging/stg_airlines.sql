MODEL (
  description "Carriers, their legal suffixes cut off",
);

SELECT
  carrier,
  regexp_replace(name, ' (Inc\.|Co\.|Corporation)$', '') AS carrier_name
FROM __source("raw_airlines")
