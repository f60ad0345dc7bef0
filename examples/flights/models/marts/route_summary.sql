MODEL (
  description "Routes with their traffic and punctuality",
);

SELECT
  origin,
  dest,
  any_value(dest_name) AS dest_name,
  count(*) AS flights,
  count(DISTINCT carrier) AS carriers,
  any_value(distance) AS miles,
  round(avg(arr_delay), 1) AS average_arr_delay,
  round(avg(air_time), 0) AS average_air_time
FROM __ref("fact_flights")
GROUP BY origin, dest
