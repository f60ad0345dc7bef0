MODEL (
  description "The tables and views of this warehouse; a view, so that it is up to date whenever it is read",
  materialized view,
);

SELECT table_schema, table_name, table_type
FROM __source("warehouse_tables")
WHERE table_schema <> 'information_schema'
