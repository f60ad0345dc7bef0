TEST (
  name "delays_have_names",
  parameters (minutes integer, band string),
  cases (
    early (minutes -3, band "on time"),
    a_bit (minutes 1, band "late"),
    too_much (minutes 30, band "very late"),
  ),
);

WITH
__udf_actual__ AS (SELECT __udf("delay_band")(@param("minutes")) AS band),
__udf_expected__ AS (SELECT @param("band") AS band)
