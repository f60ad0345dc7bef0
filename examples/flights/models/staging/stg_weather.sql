MODEL (
  description "Hourly weather in metric units",
  materialized table, -- or all of it would be converted for every flight
);

SELECT
  origin,
  time_hour,
  CAST((temp - 32) * 5 / 9 AS DECIMAL(5, 1)) AS celsius,
  CAST(wind_speed * 1.609344 AS DECIMAL(6, 1)) AS wind_kmh,
  CAST(precip * 25.4 AS DECIMAL(7, 2)) AS rain_mm,
  CAST(visib * 1.609344 AS DECIMAL(6, 1)) AS visibility_km
FROM __source("raw_weather")
