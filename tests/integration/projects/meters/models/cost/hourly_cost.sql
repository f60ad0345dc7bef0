MODEL (
  cursor hour_at,
  cursor_grain hour,
  cursor_inputs (
    hourly_use hour_at,
    raw_prices hour_at,
  ),
  cursor_watermark_mode all,
  columns (cost (audits [not_null])),
);
SELECT u.hour_at, CAST(ROUND(SUM(u.wh) * p.price / 1000, 4) AS DECIMAL(12, 4)) AS cost
FROM __ref("hourly_use") AS u
JOIN __source("raw_prices") AS p USING (hour_at)
GROUP BY u.hour_at, p.price
