MODEL (
  materialized incremental,
  incremental_strategy merge,
  unique_key [patient_id],
  cursor last_visit,
  cursor_type timestamp,
  cursor_inputs (
    visits (column starts_at, roles [filter, watermark]),
  ),
  merge_exclude_columns [first_visit],
  on_schema_change append_new_columns,
);
SELECT patient_id, MIN(starts_at) AS first_visit, MAX(starts_at) AS last_visit
FROM __ref("visits")
WHERE status <> 'missed'
GROUP BY patient_id
