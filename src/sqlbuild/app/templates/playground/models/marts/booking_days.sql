MODEL (
  description "Bookings and revenue by day and fare; each build adds the days that have come",
  materialized incremental,
  incremental_strategy delete_insert,
  cursor booked_on,
  cursor_type timestamp,
  cursor_grain day,
  cursor_inputs (
    raw_bookings booked_on,
  ),
);

SELECT
  b.booked_on,
  b.fare,
  count(*) AS bookings,
  sum(b.price) AS revenue,
  sum(CAST(b.extras->>'bags' AS INTEGER)) AS bags
FROM __source("raw_bookings") AS b
JOIN __ref("fact_flights") AS f ON f.flight_id = b.flight_id
WHERE NOT f.is_cancelled
GROUP BY b.booked_on, b.fare
