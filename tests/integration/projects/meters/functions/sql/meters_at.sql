FUNCTION (
  arguments (wanted VARCHAR),
  returns table (meter_id INTEGER, limit_wh INTEGER),
);
SELECT meter_id, limit_wh FROM __ref("stg_meters") WHERE place = wanted
