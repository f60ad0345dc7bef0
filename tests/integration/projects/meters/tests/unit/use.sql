TEST (name "from_readings_to_months");

WITH
two AS (SELECT 5 AS meter_id UNION ALL SELECT 6),
__source__raw_readings AS (
  SELECT meter_id, CAST('2026-05-31 23:59:59' AS TIMESTAMP) AS read_at, 1500 AS wh, 'ok' AS quality FROM two
  UNION ALL SELECT 5, CAST('2026-06-01 00:00:00' AS TIMESTAMP), 250, 'ok'
  UNION ALL SELECT 5, CAST('2026-06-01 00:59:59' AS TIMESTAMP), 1, 'ok'
  UNION ALL SELECT 5, CAST('2026-06-01 00:30:00' AS TIMESTAMP), 9999, 'lost'
),
__seed__meters AS (SELECT meter_id, NULL AS place FROM two),
__expected__hourly_use AS (
  SELECT CAST('2026-05-31 23:00:00' AS TIMESTAMP) AS hour_at, meter_id, 'unknown' AS place, 1500 AS wh FROM two
  UNION ALL SELECT CAST('2026-06-01 00:00:00' AS TIMESTAMP), 5, 'unknown', 251
),
__expected__monthly_use AS (
  SELECT CAST('2026-05-01' AS TIMESTAMP) AS use_month, 3.000 AS kwh
  UNION ALL SELECT CAST('2026-06-01' AS TIMESTAMP), 0.251
),
__assert__nothing_negative AS (SELECT * FROM __ref("daily_use") WHERE kwh < 0)
SELECT 1;

TEST (name "steps_begin_before_their_window", cursor_start "2026-05-01 06:00", cursor_end "2026-05-01 08:00");

WITH
__ref__hourly_use AS (
  SELECT CAST('2026-04-30 05:00' AS TIMESTAMP) AS hour_at, 1 AS wh
  UNION ALL SELECT CAST('2026-04-30 07:00' AS TIMESTAMP), 10
  UNION ALL SELECT CAST('2026-05-01 06:00' AS TIMESTAMP), 25
  UNION ALL SELECT CAST('2026-05-01 08:00' AS TIMESTAMP), 0
),
__expected__use_steps AS (SELECT CAST('2026-05-01 06:00' AS TIMESTAMP) AS hour_at, 15 AS step)
SELECT 1;

TEST (name "alarms_above_what_is_said");

WITH
__macro__alarm_limit AS (SELECT '5' AS text),
__ref__stg_readings AS (
  SELECT 1 AS meter_id, CAST('2026-05-01' AS TIMESTAMP) AS read_at, 5 AS wh
  UNION ALL SELECT 2, CAST('2026-05-01' AS TIMESTAMP), 6
),
__expected__alarms AS (SELECT 2 AS meter_id, 6 AS wh)
SELECT 1;
