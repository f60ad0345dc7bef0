AUDIT (severity error);
SELECT d.use_day, d.kwh AS by_day, h.kwh AS by_hour
FROM (SELECT use_day, SUM(kwh) AS kwh FROM __ref("daily_use") GROUP BY use_day) AS d
JOIN (
  SELECT DATE_TRUNC('day', hour_at) AS use_day, CAST(SUM(wh) AS DECIMAL(15, 3)) / 1000 AS kwh
  FROM __ref("hourly_use") GROUP BY 1
) AS h ON h.use_day = d.use_day
WHERE d.kwh <> h.kwh
