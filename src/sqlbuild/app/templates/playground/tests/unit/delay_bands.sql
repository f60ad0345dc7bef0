TEST (name "delays_are_counted_by_band");

-- Two sources are made up. fact_flights and the views below it are computed from their real SQL.
WITH
__seed__airports AS (
  SELECT 'OSL' AS code, 'Oslo Gardermoen' AS name
  UNION ALL SELECT 'DUB', 'Dublin'
),
__source__raw_flights AS (
  SELECT 1 AS flight_id, 'OSL' AS origin, 'DUB' AS destination, 'flown' AS status, 45 AS delay_minutes
  UNION ALL SELECT 2, 'OSL', 'DUB', 'flown', 30
  UNION ALL SELECT 3, 'OSL', 'DUB', 'flown', -5
  UNION ALL SELECT 4, 'OSL', 'NRT', 'flown', 0
  UNION ALL SELECT 5, 'DUB', 'OSL', 'cancelled', NULL
),
__expected__delay_bands AS (
  SELECT 'OSL' AS airport, 'very late' AS band, 2 AS flights, 66.7 AS percent_of_airport
  UNION ALL SELECT 'OSL', 'on time', 1, 33.3
  UNION ALL SELECT 'DUB', 'cancelled', 1, 100.0
)
