MODEL (
  description "Departures, cancellations and delays of each airport",
  audits [holds (name fewer_are_cancelled_than_depart, condition "cancelled <= departures")],
);

SELECT
  origin AS airport,
  origin_name AS airport_name,
  count(*) AS departures,
  sum(passengers) AS passengers,
  count(*) FILTER (WHERE is_cancelled) AS cancelled,
  @py.percent("count(*) FILTER (WHERE is_cancelled)", "count(*)") AS cancelled_percent,
  round(avg(delay_minutes), 1) AS average_delay
FROM __ref("fact_flights")
GROUP BY origin, origin_name
