MODEL (
  description "Flights with their month and whether they were cancelled",
);

SELECT
  flight_id,
  flight_date,
  month(flight_date) AS flight_month,
  origin,
  destination,
  passengers,
  status = 'cancelled' AS is_cancelled,
  delay_minutes
FROM __source("raw_flights")
