MODEL (
  description "One row per flight, with the names of both ends",
  columns (
    flight_id (type BIGINT, nullable false, audits [not_null, unique]),
    destination (audits [relationships (to __seed("airports"), field code)]),
    delay_minutes (description "Below zero is early; empty if cancelled"),
  ),
);

SELECT
  f.flight_id,
  f.flight_date,
  f.flight_month,
  f.origin,
  o.airport_name AS origin_name,
  f.destination,
  d.airport_name AS destination_name,
  f.passengers,
  f.is_cancelled,
  f.delay_minutes
FROM __ref("stg_flights") AS f
JOIN __ref("stg_airports") AS o ON o.airport = f.origin
JOIN __ref("stg_airports") AS d ON d.airport = f.destination
