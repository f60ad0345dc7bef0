MODEL (
  description "Flights and delays per day",
);

SELECT
  flight_date,
  count(*) AS flights,
  count(*) FILTER (WHERE cancelled) AS cancelled,
  CAST(avg(dep_delay) AS DECIMAL(6, 1)) AS average_dep_delay
FROM __ref("fact_flights")
GROUP BY flight_date
