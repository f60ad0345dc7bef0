MODEL (materialized table, alias "cash entries");
SELECT e.entry_no, e.cents, s.side
FROM __table_fn("entries_of")('cash', @@smallest) AS e
CROSS JOIN __table_fn("sides")(1) AS s
