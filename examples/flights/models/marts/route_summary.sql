MODEL (
  description "Routes with their traffic and punctuality",
);

SELECT
  origin,
  dest,
  min(dest_name) AS dest_name,
  count(*) AS flights,
  count(DISTINCT carrier) AS carriers,
  min(distance) AS miles,
  CAST(avg(arr_delay) AS DECIMAL(6, 1)) AS average_arr_delay,
  CAST(round(avg(air_time), 0) AS INTEGER) AS average_air_time
FROM __ref("fact_flights")
GROUP BY origin, dest
