AUDIT (severity warn, tags [nightly]);
SELECT a.appointment_id, b.appointment_id AS other
FROM __ref("visits") AS a
JOIN __ref("visits") AS b ON a.clinician = b.clinician AND a.starts_at = b.starts_at AND a.appointment_id < b.appointment_id
