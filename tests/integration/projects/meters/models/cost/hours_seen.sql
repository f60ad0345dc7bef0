MODEL (
  cursor hour_at,
  cursor_grain hour,
  cursor_inputs (
    stg_readings read_at,
    raw_prices hour_at,
  ),
  cursor_watermark_mode any,
  lookback 12h,
);
SELECT hour_at, CAST(SUM(readings) AS BIGINT) AS readings, CAST(SUM(prices) AS BIGINT) AS prices
FROM (@py.hours_in(
  {"readings": ["read_at", __ref("stg_readings")], "prices": ["hour_at", __source("raw_prices")]},
  ["readings", "prices"]
)) AS h
GROUP BY hour_at
