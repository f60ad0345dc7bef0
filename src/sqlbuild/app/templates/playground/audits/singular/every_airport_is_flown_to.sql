AUDIT (description "An airport that nobody flies to is odd, but no reason to stop", severity warn);
SELECT a.code
FROM __seed("airports") AS a
LEFT JOIN __ref("fact_flights") AS f ON f.destination = a.code
WHERE f.flight_id IS NULL
