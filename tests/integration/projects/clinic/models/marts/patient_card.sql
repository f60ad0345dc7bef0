MODEL (description "What the patient who asked for it has had");
SELECT v.appointment_id, v.starts_at, v.fee
FROM __table_fn("visits_of")(102) AS v
