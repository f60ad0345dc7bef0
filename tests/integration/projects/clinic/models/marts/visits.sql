MODEL (
  description "Every appointment, and what it costs",
  contract enforced,
  columns (
    appointment_id (type INTEGER, nullable false, audits [not_null, unique]),
    patient_id (type INTEGER, audits [relationships (to __ref("stg_patients"), field patient_id, severity warn)]),
    surname (type VARCHAR),
    clinician (type VARCHAR, audits [relationships (to __seed("clinicians"), field code)]),
    service_day (type DATE),
    starts_at (type TIMESTAMP, audits [not_closed]),
    minutes (type INTEGER),
    status (type VARCHAR),
    fee (type DECIMAL(10, 2)),
  ),
  audits [holds (name takes_time, expression "minutes > 0")],
  indexes [(columns [appointment_id], unique true), (columns [starts_at])],
);
SELECT
  a.appointment_id,
  a.patient_id,
  p.surname,
  a.clinician,
  @py.service_day("a.starts_at") AS service_day,
  a.starts_at,
  a.minutes,
  a.status,
  CASE WHEN a.status = 'done' THEN __udf("fee")(a.minutes, c.hourly_fee) ELSE 0 END AS fee
FROM __ref("stg_appointments") AS a
LEFT JOIN __ref("stg_patients") AS p USING (patient_id)
LEFT JOIN __seed("clinicians") AS c ON c.code = a.clinician
