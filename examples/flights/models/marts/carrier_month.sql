MODEL (
  description "Flights, cancellations and delays per carrier and month",
);

SELECT
  carrier,
  min(carrier_name) AS carrier_name,
  month,
  count(*) AS flights,
  count(*) FILTER (WHERE cancelled) AS cancelled,
  count(arr_delay) AS arrived,
  CAST(avg(dep_delay) AS DECIMAL(6, 1)) AS average_dep_delay,
  CAST(avg(arr_delay) AS DECIMAL(7, 2)) AS average_arr_delay,
  CAST(sum(distance) AS BIGINT) AS miles
FROM __ref("fact_flights")
GROUP BY carrier, month
