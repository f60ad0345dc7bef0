FUNCTION (
  arguments (wanted INTEGER),
  returns table (appointment_id INTEGER, starts_at TIMESTAMP, fee DECIMAL(10, 2)),
);

SELECT appointment_id, starts_at, fee
FROM __ref("visits")
WHERE patient_id = wanted AND status = 'done'
