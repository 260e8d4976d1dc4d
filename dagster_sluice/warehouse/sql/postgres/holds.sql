-- Holding, releasing and rejecting. $1, $2 … are bound parameters; {staging}, {columns}, {shape} and {selection} are quoted
-- identifiers, types and casts; values never enter this text. hold reads two temporary tables of this
-- session, those of publish.sql: sluice_rows (the good rows) and sluice_rejected (the rows to quarantine).

-- name: lock
-- The lock of publish.sql: who holds, releases or rejects takes turns with whoever publishes that partition.
SELECT 1 FROM (
    SELECT pg_advisory_xact_lock(hashtextextended(format('%s.%s|%s', $1::text, $2::text, $3::text), 0))
) AS held

-- name: standing
SELECT p.id, p.content_hash
FROM sluice.publications p
WHERE p.table_schema = $1::text AND p.table_name = $2::text AND p.partition IS NOT DISTINCT FROM $3::text
  AND p.superseded_at IS NULL

-- name: open
SELECT id, content_hash, rejected_hash, base, contract_fingerprint
FROM sluice.holds
WHERE table_schema = $1::text AND table_name = $2::text AND partition IS NOT DISTINCT FROM $3::text
  AND status = 'open'

-- name: record
INSERT INTO sluice.holds (
    table_schema, table_name, partition, columns, content_hash, rejected_hash, base, restored, contract_version,
    contract_fingerprint, code_version, rows_in, rows_held, rows_quarantined, passed, warned, failed, seconds, results,
    reasons, run_id, correlation_id
)
VALUES (
    $1::text, $2::text, $3::text, $4::text::jsonb, $5::text, $6::text, $7::bigint, $8::text::bigint[], $9::text,
    $10::text, $11::text, $12::bigint, $13::bigint, $14::bigint, $15::bigint, $16::bigint, $17::bigint, $18::float8,
    $19::text::jsonb, $20::text::jsonb, $21::text, $22::text
)
RETURNING id

-- name: stage
CREATE TABLE {staging} ({shape})

-- name: fill
INSERT INTO {staging} ({columns}) SELECT {selection} FROM sluice_rows

-- name: keep_rejected
INSERT INTO sluice.held_rejections (hold_id, position, occurrence, payload, reasons)
SELECT $1::bigint, row_number() OVER (), occurrence, payload, reasons FROM sluice_rejected

-- name: audit
INSERT INTO sluice.audits (
    table_schema, table_name, partition, result, hold_id, contract_version, contract_fingerprint, rows_in,
    rows_published, rows_quarantined, passed, warned, failed, seconds, results, reasons, run_id, correlation_id
)
VALUES (
    $1::text, $2::text, $3::text, 'held', $4::bigint, $5::text, $6::text, $7::bigint,
    0, 0, $8::bigint, $9::bigint, $10::bigint, $11::float8, $12::text::jsonb, $13::text::jsonb, $14::text, $15::text
)

-- name: claim
-- Locked, so that of two who decide at once the second one reads what the first one did.
SELECT status, decided_by, decided_at FROM sluice.holds WHERE id = $1::bigint FOR UPDATE

-- name: staged
SELECT {selection} FROM {staging} LIMIT {limit}

-- name: rejected
SELECT payload, reasons, occurrence FROM sluice.held_rejections WHERE hold_id = $1::bigint ORDER BY position

-- name: restored
SELECT unnest(restored) FROM sluice.holds WHERE id = $1::bigint

-- name: decide
UPDATE sluice.holds
SET status = $2::text, decided_by = $3::text, why = $4::text, decided_at = clock_timestamp(),
    publication_id = $5::bigint
WHERE id = $1::bigint AND status = 'open'
RETURNING id

-- name: forget_rejected
DELETE FROM sluice.held_rejections WHERE hold_id = $1::bigint

-- name: unstage
DROP TABLE {staging}
