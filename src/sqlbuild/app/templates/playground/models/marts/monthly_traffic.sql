MODEL (
  description "Flights and passengers by month",
);

SELECT flight_month, count(*) AS flights, sum(passengers) AS passengers
FROM __ref("fact_flights")
WHERE NOT is_cancelled
GROUP BY flight_month
