MODEL (
  description "How much more is used than in the hour before that has readings",
  cursor hour_at,
  cursor_grain hour,
  cursor_inputs (
    hourly_use (column hour_at, roles [watermark]),
  ),
  cursor_start "2026-01-30 06:00",
);
WITH totals AS (
  SELECT hour_at, @py.summed("wh") AS wh
  FROM __ref("hourly_use")
  WHERE hour_at >= __cursor_start() - INTERVAL '1 day'
  GROUP BY hour_at
), steps AS (
  SELECT hour_at, wh - LAG(wh) OVER (ORDER BY hour_at) AS step FROM totals
)
SELECT hour_at, step FROM steps
WHERE hour_at >= __cursor_start() AND hour_at < __cursor_end()
