MODEL (
  description "Flights, cancellations and delays per carrier and month",
);

SELECT
  carrier,
  any_value(carrier_name) AS carrier_name,
  month,
  count(*) AS flights,
  count(*) FILTER (WHERE cancelled) AS cancelled,
  count(arr_delay) AS arrived,
  round(avg(dep_delay), 1) AS average_dep_delay,
  round(avg(arr_delay), 2) AS average_arr_delay,
  sum(distance) AS miles
FROM __ref("fact_flights")
GROUP BY carrier, month
