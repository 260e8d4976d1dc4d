-- One publish. Reads three temporary tables of this session: sluice_request (one row: the batch's record),
-- sluice_rows (the good rows), sluice_rejected (the rows to quarantine) and, where replayed rows are published
-- again, sluice_restored (their numbers). {target}, {columns} and {selection}
-- are quoted identifiers and casts; values never enter this text.

-- name: lock
-- One publisher at a time per table and partition, until the transaction ends.
SELECT 1 FROM (
    SELECT pg_advisory_xact_lock(hashtextextended(format('%s.%s|%s', table_schema, table_name, partition), 0))
    FROM sluice_request
) AS held

-- name: current
SELECT p.id, p.content_hash, p.published_at, p.rows_published
FROM sluice.publications p, sluice_request r
WHERE p.table_schema = r.table_schema AND p.table_name = r.table_name
  AND p.partition IS NOT DISTINCT FROM r.partition AND p.superseded_at IS NULL

-- name: kind
-- COPY neither writes into views nor where rows are guarded one by one.
SELECT CASE WHEN c.relkind IN ('r', 'p') AND NOT c.relrowsecurity THEN c.relkind::text ELSE '?' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, sluice_request r
WHERE n.nspname = r.table_schema AND c.relname = r.table_name

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

-- name: altered
-- How many values of a column would come back from its type otherwise than they went.
SELECT count(*) FROM sluice_rows
WHERE {column} IS NOT NULL AND format('%s', {column}::{cast}::{kind}) IS DISTINCT FROM format('%s', {column})

-- name: supersede
UPDATE sluice.publications p SET superseded_at = clock_timestamp()
FROM sluice_request r
WHERE p.table_schema = r.table_schema AND p.table_name = r.table_name
  AND p.partition IS NOT DISTINCT FROM r.partition AND p.superseded_at IS NULL

-- name: publication
INSERT INTO sluice.publications (
    table_schema, table_name, partition, content_hash, contract_version, contract_fingerprint, code_version,
    rows_in, rows_published, rows_quarantined, run_id, correlation_id, computed_at
)
SELECT table_schema, table_name, partition, content_hash, contract_version, contract_fingerprint, code_version,
    rows_in, rows_published, rows_quarantined, run_id, correlation_id,
    -- A replay computes nothing: what its source had since is still missing.
    coalesce(r.computed_at::timestamptz, (
        SELECT p.computed_at FROM sluice.publications p
        WHERE p.table_schema = r.table_schema AND p.table_name = r.table_name
          AND p.partition IS NOT DISTINCT FROM r.partition
        ORDER BY p.id DESC LIMIT 1
    ), clock_timestamp())
FROM sluice_request r

-- name: reaffirm
-- The content stands as it is; what is known of its making is brought up to date.
UPDATE sluice.publications p
SET contract_version = r.contract_version, contract_fingerprint = r.contract_fingerprint,
    code_version = r.code_version, rows_in = r.rows_in, rows_quarantined = r.rows_quarantined,
    computed_at = coalesce(r.computed_at::timestamptz, clock_timestamp())
FROM sluice_request r
WHERE p.table_schema = r.table_schema AND p.table_name = r.table_name
  AND p.partition IS NOT DISTINCT FROM r.partition AND p.superseded_at IS NULL

-- name: audit
INSERT INTO sluice.audits (
    table_schema, table_name, partition, result, publication_id, contract_version, contract_fingerprint, rows_in,
    rows_published, rows_quarantined, passed, warned, failed, seconds, results, reasons, run_id, correlation_id
)
SELECT r.table_schema, r.table_name, r.partition, r.result,
    (SELECT p.id FROM sluice.publications p
     WHERE p.table_schema = r.table_schema AND p.table_name = r.table_name
       AND p.partition IS NOT DISTINCT FROM r.partition AND p.superseded_at IS NULL AND r.result <> 'blocked'),
    r.contract_version, r.contract_fingerprint, r.rows_in,
    r.rows_published, r.rows_quarantined, r.passed, r.warned, r.failed, r.seconds,
    r.results::jsonb, r.reasons::jsonb, r.run_id, r.correlation_id
FROM sluice_request r

-- name: quarantine
-- A row seen again is the same row: it keeps its place and first_seen, and is open again unless a person discarded it.
INSERT INTO sluice.quarantine (
    table_schema, table_name, partition, row_hash, occurrence, payload, reasons, run_id, correlation_id
)
SELECT r.table_schema, r.table_name, r.partition, q.row_hash, q.occurrence, q.payload::jsonb, q.reasons::jsonb,
    r.run_id, r.correlation_id
FROM sluice_rejected q, sluice_request r
ON CONFLICT (table_schema, table_name, partition, row_hash, occurrence) DO UPDATE
SET reasons = excluded.reasons, run_id = excluded.run_id, correlation_id = excluded.correlation_id,
    last_seen = excluded.last_seen,
    status = CASE quarantine.status WHEN 'discarded' THEN 'discarded' ELSE 'open' END

-- name: release
-- Rows of this partition that are no longer rejected need nobody's attention.
UPDATE sluice.quarantine q SET status = 'passed', last_seen = clock_timestamp()
FROM sluice_request r
WHERE q.table_schema = r.table_schema AND q.table_name = r.table_name
  AND q.partition IS NOT DISTINCT FROM r.partition AND q.status = 'open'
  AND NOT EXISTS (
      SELECT FROM sluice_rejected n WHERE n.row_hash = q.row_hash AND n.occurrence = q.occurrence
  )

-- name: restored
-- A replayed row that is still needed does not age.
UPDATE sluice.quarantine SET last_seen = clock_timestamp() WHERE id IN (SELECT id FROM sluice_restored)
