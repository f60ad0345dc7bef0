MODEL (
  description "Airports by IATA code",
);

SELECT code AS airport, name AS airport_name, country
FROM __seed("airports")
