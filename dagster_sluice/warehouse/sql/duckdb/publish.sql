-- One publish. Reads temporary tables of this connection: sluice_request (one row: the batch's record), sluice_rejected
-- (the rows to quarantine) and, where replayed rows are published again, sluice_restored (their numbers); and sluice_rows
-- (the good rows, in Arrow). The current schema is the ledger's. {target}, {columns} and {selection} are quoted
-- identifiers and casts; values never enter this text.

-- name: current
SELECT p.id, p.content_hash, p.published_at, p.rows_published
FROM publications p, sluice_request r
WHERE p.table_schema = r.table_schema AND p.table_name = r.table_name
  AND p.partition IS NOT DISTINCT FROM r.partition AND p.superseded_at IS NULL

-- name: count_partition
SELECT count(*) FROM {target} WHERE _partition = (SELECT partition FROM sluice_request)

-- name: count_table
SELECT count(*) FROM {target}

-- name: replace_partition
DELETE FROM {target} WHERE _partition = (SELECT partition FROM sluice_request)

-- name: replace_table
DELETE FROM {target}

-- name: insert_partition
INSERT INTO {target} ({columns}, _partition)
SELECT {selection}, (SELECT partition FROM sluice_request) FROM sluice_rows

-- name: insert_table
INSERT INTO {target} ({columns}) SELECT {selection} FROM sluice_rows

-- name: figures
SELECT {figures} FROM sluice_rows

-- name: supersede
UPDATE publications p SET superseded_at = now()
FROM sluice_request r
WHERE p.table_schema = r.table_schema AND p.table_name = r.table_name
  AND p.partition IS NOT DISTINCT FROM r.partition AND p.superseded_at IS NULL

-- name: publication
INSERT INTO publications (
    id, table_schema, table_name, partition, content_hash, contract_version, contract_fingerprint, code_version,
    rows_in, rows_published, rows_quarantined, run_id, correlation_id, computed_at
)
SELECT nextval('publication_number'), table_schema, table_name, partition, content_hash, contract_version,
    contract_fingerprint, code_version, rows_in, rows_published, rows_quarantined, run_id, correlation_id,
    -- A replay computes nothing: what its source had since is still missing.
    coalesce(r.computed_at::TIMESTAMPTZ, (
        SELECT arg_max(p.computed_at, p.id) FROM publications p
        WHERE p.table_schema = r.table_schema AND p.table_name = r.table_name
          AND p.partition IS NOT DISTINCT FROM r.partition
    ), now())
FROM sluice_request r

-- name: reaffirm
-- The content stands as it is; what is known of its making is brought up to date.
UPDATE publications p
SET contract_version = r.contract_version, contract_fingerprint = r.contract_fingerprint,
    code_version = r.code_version, rows_in = r.rows_in, rows_quarantined = r.rows_quarantined,
    computed_at = coalesce(r.computed_at::TIMESTAMPTZ, now())
FROM sluice_request r
WHERE p.table_schema = r.table_schema AND p.table_name = r.table_name
  AND p.partition IS NOT DISTINCT FROM r.partition AND p.superseded_at IS NULL

-- name: audit
INSERT INTO audits (
    id, table_schema, table_name, partition, result, publication_id, contract_version, contract_fingerprint, rows_in,
    rows_published, rows_quarantined, passed, warned, failed, seconds, results, reasons, run_id, correlation_id
)
SELECT nextval('audit_number'), r.table_schema, r.table_name, r.partition, r.result,
    (SELECT p.id FROM publications p
     WHERE p.table_schema = r.table_schema AND p.table_name = r.table_name
       AND p.partition IS NOT DISTINCT FROM r.partition AND p.superseded_at IS NULL AND r.result <> 'blocked'),
    r.contract_version, r.contract_fingerprint, r.rows_in,
    r.rows_published, r.rows_quarantined, r.passed, r.warned, r.failed, r.seconds,
    r.results, r.reasons, r.run_id, r.correlation_id
FROM sluice_request r

-- name: unchanged
UPDATE sluice_request SET result = 'unchanged'

-- name: blocked
UPDATE sluice_request SET result = 'blocked'

-- name: seen_again
-- A row seen again is the same row: it keeps its place and first_seen, and is open again unless a person discarded it.
UPDATE quarantine q
SET reasons = n.reasons, run_id = r.run_id, correlation_id = r.correlation_id, last_seen = now(),
    status = CASE q.status WHEN 'discarded' THEN 'discarded' ELSE 'open' END
FROM sluice_rejected n, sluice_request r
WHERE q.table_schema = r.table_schema AND q.table_name = r.table_name
  AND q.partition IS NOT DISTINCT FROM r.partition
  AND q.row_hash = n.row_hash AND q.occurrence = n.occurrence

-- name: quarantine
INSERT INTO quarantine (
    id, table_schema, table_name, partition, row_hash, occurrence, payload, reasons, run_id, correlation_id
)
SELECT nextval('quarantine_number'), r.table_schema, r.table_name, r.partition, n.row_hash, n.occurrence, n.payload,
    n.reasons, r.run_id, r.correlation_id
FROM sluice_rejected n, sluice_request r
WHERE NOT EXISTS (
    SELECT 1 FROM quarantine q
    WHERE q.table_schema = r.table_schema AND q.table_name = r.table_name
      AND q.partition IS NOT DISTINCT FROM r.partition
      AND q.row_hash = n.row_hash AND q.occurrence = n.occurrence
)

-- name: release
-- Rows of this partition that are no longer rejected need nobody's attention.
UPDATE quarantine q SET status = 'passed', last_seen = now()
FROM sluice_request r
WHERE q.table_schema = r.table_schema AND q.table_name = r.table_name
  AND q.partition IS NOT DISTINCT FROM r.partition AND q.status = 'open'
  AND NOT EXISTS (SELECT 1 FROM sluice_rejected n WHERE n.row_hash = q.row_hash AND n.occurrence = q.occurrence)

-- name: restored
-- A replayed row that is still needed does not age.
UPDATE quarantine SET last_seen = now() WHERE id IN (SELECT id FROM sluice_restored)
