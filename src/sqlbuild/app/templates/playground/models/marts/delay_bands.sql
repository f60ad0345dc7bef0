MODEL (
  description "How late departures of each airport are; the contract keeps its columns as they are",
  contract enforced,
  columns (
    airport (type VARCHAR),
    band (type VARCHAR, audits [accepted_values (values ["on time", "late", "very late", "cancelled"])]),
    flights (type BIGINT),
    percent_of_airport (type DOUBLE),
  ),
  pre_hooks [
    inline_sql("CREATE TABLE IF NOT EXISTS @@CTX:destination.schema.build_log (run VARCHAR, model VARCHAR, rows BIGINT)"),
  ],
  post_hooks [
    sql("note_build", log: "@@CTX:destination.schema.build_log"),
  ],
);

SELECT
  origin AS airport,
  __udf("delay_band")(delay_minutes) AS band,
  count(*) AS flights,
  @py.percent("count(*)", "sum(count(*)) OVER (PARTITION BY origin)") AS percent_of_airport
FROM __ref("fact_flights")
GROUP BY origin, band
