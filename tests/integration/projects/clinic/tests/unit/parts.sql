TEST (mode macro, name "surnames");

WITH
people AS (SELECT 'Ida Berg' AS name),
__macro_actual__ AS (SELECT @py.surname("name") AS surname FROM people),
__macro_expected__ AS (SELECT 'Berg' AS surname)
SELECT 1;

TEST (mode udf, name "fees_are_rounded");

WITH
__udf_actual__ AS (SELECT __udf("fee")(20, 120.50) AS fee),
__udf_expected__ AS (SELECT 40.17 AS fee)
SELECT 1;

TEST (name "bookings_of_a_window", cursor_start "2026-01-02", cursor_end "2026-01-03");

WITH
__ref__stg_appointments AS (
  SELECT 1 AS appointment_id, CAST('2026-01-01 23:59:59' AS TIMESTAMP) AS booked_at
  UNION ALL SELECT 2, CAST('2026-01-02 00:00:00' AS TIMESTAMP)
  UNION ALL SELECT 3, CAST('2026-01-03 00:00:00' AS TIMESTAMP)
),
__expected__booking_log AS (SELECT 2 AS appointment_id, NULL AS clinician)
SELECT 1;

TEST (name "a_card_without_visits");

WITH
__table_fn__visits_of AS (SELECT * FROM __empty_fixture()),
__expected__patient_card AS (SELECT * FROM __empty_fixture())
SELECT 1
