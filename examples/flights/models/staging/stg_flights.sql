MODEL (
  description "One row per scheduled flight",
);

SELECT
  make_date("year", "month", "day") AS flight_date,
  "month",
  hour AS scheduled_hour,
  time_hour,
  carrier,
  flight AS flight_number,
  tailnum,
  origin,
  dest,
  dep_time IS NULL AS cancelled,
  dep_delay,
  arr_delay,
  air_time,
  distance
FROM __source("raw_flights")
