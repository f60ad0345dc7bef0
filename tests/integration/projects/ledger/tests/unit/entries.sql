TEST (
  name "entries_in_euros",
  parameters (code string, cents integer, euro_cents integer, note (type string, nullable true)),
  cases (
    euros (code "EUR", cents 5, euro_cents 5, note null),
    dollars (code "USD", cents -5, euro_cents -3, note "half a cent"),
  ),
);

WITH
rates AS (SELECT 'EUR' AS code, 1 AS rate UNION ALL SELECT 'USD', 0.5),
__source__raw_rates AS (SELECT code, rate FROM rates),
__source__raw_entries AS (SELECT 1 AS entry_no, @param("code") AS currency, @param("cents") AS cents, @param("note") AS note),
__expected__journal AS (SELECT 1 AS entry_no, @param("euro_cents") AS cents, @param("code") AS currency),
__expected__balances AS (SELECT NULL AS account, 0 AS cents WHERE FALSE),
__assert__the_note_stays AS (
  SELECT * FROM __ref("stg_entries") WHERE COALESCE(note, '') <> COALESCE(@param("note"), '')
)
SELECT 1;

TEST (mode table_fn, name "amounts_have_one_side");

WITH
__table_fn_actual__ AS (
  SELECT * FROM __table_fn("sides")(7) UNION ALL SELECT * FROM __table_fn("sides")(-8) UNION ALL SELECT * FROM __table_fn("sides")(0)
),
__table_fn_expected__ AS (SELECT 'debit' AS side, 7 AS cents UNION ALL SELECT 'credit', 8)
SELECT 1;

TEST (mode udf, name "euro_cents");

WITH
amounts AS (SELECT 4000 AS cents),
__udf_actual__ AS (SELECT __udf("to_euro_cents")(cents, 0.9) AS cents FROM amounts),
__udf_expected__ AS (SELECT 3600 AS cents)
SELECT 1;

TEST (mode macro, name "sides_have_names");

WITH
__macro_actual__ AS (SELECT @py.side_of("-1", credit="C") AS side),
__macro_expected__ AS (SELECT 'C' AS side)
SELECT 1;

TEST (name "balances_of_a_window", cursor_start "3", cursor_end "4");

WITH
__ref__journal AS (
  SELECT 1 AS entry_no, 'cash' AS account, 5 AS cents
  UNION ALL SELECT 3, 'cash', 6
  UNION ALL SELECT 2, 'sales', 7
),
__expected__balances AS (SELECT 'cash' AS account, 11 AS cents, 3 AS last_entry, 3 AS known_from)
SELECT 1
