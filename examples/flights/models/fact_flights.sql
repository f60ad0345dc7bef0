MODEL (
  description "Every flight with its carrier, destination, aircraft and the weather at departure",
  materialized table,
  tags [facts],
  indexes [
    (columns [carrier, month]),
  ],
  columns (
    flight_date (type DATE, nullable false, description "Scheduled day of departure"),
    dep_delay (description "Minutes; negative is early; empty for a cancelled flight"),
    arr_delay (description "Minutes; negative is early; empty if cancelled or diverted"),
  ),
);

SELECT
  f.flight_date,
  f.month,
  f.scheduled_hour,
  f.carrier,
  a.carrier_name,
  f.flight_number,
  f.tailnum,
  p.manufacturer,
  p.built_in,
  p.seats,
  f.origin,
  f.dest,
  d.airport_name AS dest_name,
  f.cancelled,
  f.dep_delay,
  f.arr_delay,
  f.air_time,
  f.distance,
  w.celsius,
  w.wind_kmh,
  w.rain_mm,
  w.visibility_km
FROM __ref("stg_flights") AS f
JOIN __ref("stg_airlines") AS a ON a.carrier = f.carrier
LEFT JOIN __ref("stg_airports") AS d ON d.airport = f.dest
LEFT JOIN __ref("stg_planes") AS p ON p.tailnum = f.tailnum
LEFT JOIN __ref("stg_weather") AS w ON w.origin = f.origin AND w.time_hour = f.time_hour
