TEST (
  name "visits_and_days",
  description "From the bookings to the days, through the models in between",
  parameters (minutes integer, fee decimal),
  cases (
    half_an_hour (minutes 30, fee "60.00"),
    a_minute (minutes 1, fee "2.00"),
  ),
);

WITH
one_day AS (SELECT CAST('2026-01-10' AS DATE) AS day),
__source__raw_appointments AS (
  SELECT 1 AS id, 7 AS patient_id, 'abel' AS clinician, CAST('2026-01-10 03:59:59' AS TIMESTAMP) AS starts_at,
    @param("minutes") AS minutes, 'done' AS status
  UNION ALL SELECT 2, 8, 'abel', CAST('2026-01-10 04:00:00' AS TIMESTAMP), 15, 'missed'
),
__source__raw_patients AS (SELECT 7 AS patient_id, 'Ada Stone' AS name),
__seed__clinicians AS (SELECT 'abel' AS code, 'Abel' AS name, 120 AS hourly_fee),
__expected__visits AS (
  SELECT 1 AS appointment_id, 'Stone' AS surname, CAST('2026-01-09' AS DATE) AS service_day, @param("fee") AS fee
  UNION ALL SELECT 2, NULL, (SELECT day FROM one_day), 0
),
__expected__clinician_days AS (SELECT day AS visited_on, 'abel' AS clinician, 2 AS visits, @param("fee") AS fees FROM one_day),
__assert__nobody_is_counted_twice AS (
  SELECT SUM(visits) FROM __ref("clinician_days") HAVING SUM(visits) <> (SELECT COUNT(*) FROM __ref("visits"))
)
SELECT 1
