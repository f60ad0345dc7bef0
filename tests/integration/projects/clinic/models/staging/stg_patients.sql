MODEL (
  columns (
    patient_id (audits [unique]),
  ),
);
SELECT patient_id, @py.surname("name") AS surname, born
FROM __source("raw_patients")
