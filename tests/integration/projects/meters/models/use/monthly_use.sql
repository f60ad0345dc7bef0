MODEL (
  cursor use_month,
  cursor_grain month,
  cursor_inputs (
    daily_use use_day,
  ),
);
SELECT DATE_TRUNC('month', use_day) AS use_month, CAST(SUM(kwh) AS DECIMAL(12, 3)) AS kwh
FROM __ref("daily_use")
GROUP BY 1
