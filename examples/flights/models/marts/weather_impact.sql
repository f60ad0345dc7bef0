MODEL (
  description "Delays and cancellations by weather at the hour of departure",
);

WITH conditions AS (
  SELECT
    CASE
      WHEN rain_mm IS NULL THEN 'unknown'
      WHEN visibility_km < 3 THEN 'fog or heavy rain'
      WHEN rain_mm > 0 THEN 'rain or snow'
      WHEN wind_kmh >= 40 THEN 'strong wind'
      ELSE 'fair'
    END AS weather,
    cancelled,
    dep_delay
  FROM __ref("fact_flights")
)

SELECT
  weather,
  count(*) AS flights,
  CAST(100.0 * count(*) FILTER (WHERE cancelled) / count(*) AS DECIMAL(5, 2)) AS percent_cancelled,
  CAST(avg(dep_delay) AS DECIMAL(6, 1)) AS average_dep_delay
FROM conditions
GROUP BY weather
