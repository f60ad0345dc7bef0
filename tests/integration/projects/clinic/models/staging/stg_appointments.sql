SELECT id AS appointment_id, patient_id, clinician, starts_at, minutes, status, booked_at
FROM __source("raw_appointments")
