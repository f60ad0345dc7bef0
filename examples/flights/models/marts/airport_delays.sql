MODEL (
  description "How delays grow over the day at each airport of New York",
);

SELECT
  origin,
  scheduled_hour,
  count(*) AS flights,
  CAST(avg(dep_delay) AS DECIMAL(6, 1)) AS average_dep_delay,
  CAST(100.0 * count(*) FILTER (WHERE dep_delay >= 30) / count(*) AS DECIMAL(5, 1)) AS percent_late
FROM __ref("fact_flights")
GROUP BY origin, scheduled_hour
HAVING count(*) >= 100
