MODEL (
  description "Aircraft by tail number",
);

SELECT tailnum, "year" AS built_in, manufacturer, model AS plane_model, seats
FROM __source("raw_planes")
