MODEL (
  description "Departures, cancellations and delays of each airport",
);

SELECT
  origin AS airport,
  origin_name AS airport_name,
  count(*) AS departures,
  sum(passengers) AS passengers,
  count(*) FILTER (WHERE is_cancelled) AS cancelled,
  round(avg(delay_minutes), 1) AS average_delay
FROM __ref("fact_flights")
GROUP BY origin, origin_name
