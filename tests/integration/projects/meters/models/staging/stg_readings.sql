MODEL (columns (meter_id (audits [relationships (to __seed("meters"), field meter_id, severity error)])));
SELECT meter_id, read_at, wh
FROM __source("raw_readings")
WHERE quality = 'ok'
