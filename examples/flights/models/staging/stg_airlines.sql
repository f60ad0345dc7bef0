MODEL (
  description "Carriers, their legal suffixes cut off",
  materialized table, -- PostgreSQL would cut off those of a view once for every flight
);

SELECT
  carrier,
  regexp_replace(name, ' (Inc\.|Co\.|Corporation)$', '') AS carrier_name
FROM __source("raw_airlines")
