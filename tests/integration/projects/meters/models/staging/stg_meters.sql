SELECT meter_id, COALESCE(place, 'unknown') AS place, limit_wh FROM __seed("meters")
