-- Holding, releasing and rejecting. $names are bound parameters; {staging} is a quoted identifier. Reads temporary tables of
-- this connection: sluice_request (one row: the batch's record), sluice_rejected (the rows to quarantine) and
-- sluice_restored (numbers of replayed rows that are published again).

-- name: standing
SELECT id, content_hash FROM publications
WHERE table_schema = $schema AND table_name = $table AND partition IS NOT DISTINCT FROM $partition::TEXT
  AND superseded_at IS NULL

-- name: open
SELECT id, content_hash, rejected_hash, base, contract_fingerprint FROM holds
WHERE table_schema = $schema AND table_name = $table AND partition IS NOT DISTINCT FROM $partition::TEXT
  AND status = 'open'

-- name: record
INSERT INTO holds (
    id, table_schema, table_name, partition, columns, content_hash, rejected_hash, base, restored, contract_version,
    contract_fingerprint, code_version, rows_in, rows_held, rows_quarantined, passed, warned, failed, seconds, results,
    reasons, run_id, correlation_id
)
SELECT nextval('hold_number'), table_schema, table_name, partition, $columns, content_hash, $rejected_hash, $base,
    (SELECT coalesce(list(id), []) FROM sluice_restored), contract_version, contract_fingerprint, code_version, rows_in,
    rows_published, rows_quarantined, passed, warned, failed, seconds, results, reasons, run_id, correlation_id
FROM sluice_request
RETURNING id

-- name: keep_rejected
INSERT INTO held_rejections (hold_id, position, occurrence, payload, reasons)
SELECT $hold, row_number() OVER (), occurrence, payload, reasons FROM sluice_rejected

-- name: audit
INSERT INTO audits (
    id, table_schema, table_name, partition, result, hold_id, contract_version, contract_fingerprint, rows_in,
    rows_published, rows_quarantined, passed, warned, failed, seconds, results, reasons, run_id, correlation_id
)
SELECT nextval('audit_number'), table_schema, table_name, partition, 'held', $hold, contract_version,
    contract_fingerprint, rows_in, 0, 0, passed, warned, failed, seconds, results, reasons, run_id, correlation_id
FROM sluice_request

-- name: rejected
SELECT payload::TEXT, reasons::TEXT, occurrence FROM held_rejections WHERE hold_id = $hold ORDER BY position

-- name: restored
SELECT unnest(restored) FROM holds WHERE id = $hold

-- name: decide
UPDATE holds
SET status = $status, decided_by = $by, why = $why, decided_at = now(), publication_id = $publication::BIGINT
WHERE id = $hold AND status = 'open'

-- name: forget_rejected
DELETE FROM held_rejections WHERE hold_id = $hold

-- name: unstage
DROP TABLE {staging}
