MODEL (
  description "Airports by FAA code",
);

SELECT faa AS airport, name AS airport_name, lat AS latitude, lon AS longitude
FROM __source("raw_airports")
