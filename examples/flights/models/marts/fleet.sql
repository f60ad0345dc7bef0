MODEL (
  description "Aircraft by manufacturer",
);

SELECT
  coalesce(manufacturer, 'unknown') AS manufacturer,
  count(DISTINCT tailnum) AS planes,
  count(*) AS flights,
  CAST(avg(2013 - built_in) AS DECIMAL(5, 1)) AS average_age
FROM __ref("fact_flights")
WHERE tailnum IS NOT NULL
GROUP BY 1
