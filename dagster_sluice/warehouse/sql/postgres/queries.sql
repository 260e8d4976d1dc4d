-- What the warehouse is asked. %(name)s are bound parameters.

-- name: ledger_version
SELECT coalesce(max(version), 0) FROM sluice.ledger_version

-- name: current
SELECT id, partition, content_hash, contract_fingerprint, code_version, rows_published, rows_quarantined,
    published_at, run_id
FROM sluice.publications
WHERE table_schema = %(schema)s AND table_name = %(table)s AND superseded_at IS NULL
  AND (%(partitions)s::text[] IS NULL OR partition = ANY (%(partitions)s::text[]))

-- name: audits
SELECT table_schema, table_name, partition, result, rows_in, rows_published, rows_quarantined, passed, warned, failed,
    seconds, judged_at, reasons
FROM sluice.audits WHERE correlation_id = %(correlation_id)s ORDER BY id

-- name: tables
SELECT p.table_schema, p.table_name, count(*), sum(p.rows_published)::bigint, coalesce(max(q.open_rows), 0),
    max(p.published_at), min(p.partition), max(p.partition)
FROM sluice.publications p
LEFT JOIN (
    SELECT table_schema, table_name, count(*) AS open_rows FROM sluice.quarantine WHERE status = 'open' GROUP BY 1, 2
) q USING (table_schema, table_name)
WHERE p.superseded_at IS NULL
GROUP BY 1, 2 ORDER BY 1, 2

-- name: quarantined
SELECT id, table_schema, table_name, partition, payload, reasons, status, run_id, correlation_id, first_seen, last_seen,
    replacement, publication_id, why, settled_at
FROM sluice.quarantine
WHERE (%(schema)s::text IS NULL OR table_schema = %(schema)s) AND (%(table)s::text IS NULL OR table_name = %(table)s)
  AND (%(partition)s::text IS NULL OR partition = %(partition)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
ORDER BY last_seen DESC, id DESC LIMIT %(limit)s

-- name: quarantine_rows
SELECT id, table_schema, table_name, partition, payload, reasons, status, run_id, correlation_id, first_seen, last_seen,
    replacement, publication_id, why, settled_at
FROM sluice.quarantine WHERE id = ANY (%(ids)s::bigint[]) ORDER BY id

-- name: quarantine_counts
SELECT table_schema, table_name, status, count(*), min(last_seen), max(last_seen)
FROM sluice.quarantine GROUP BY 1, 2, 3 ORDER BY 1, 2, 3

-- name: mended
SELECT id, row_hash, occurrence, replacement
FROM sluice.quarantine
WHERE table_schema = %(schema)s AND table_name = %(table)s AND partition IS NOT DISTINCT FROM %(partition)s::text
  AND status = 'replayed' AND replacement IS NOT NULL
ORDER BY id

-- name: discard
UPDATE sluice.quarantine SET status = 'discarded', why = %(why)s, settled_at = clock_timestamp()
WHERE id = ANY (%(ids)s::bigint[]) AND status = 'open' RETURNING id

-- name: prunable
-- First what is too old; of the rest, what is more than may be kept. Open rows are the last to go, if they go at all.
WITH aged AS (
    SELECT id FROM sluice.quarantine
    WHERE last_seen < %(before)s::timestamptz AND (status <> 'open' OR %(include_open)s)
), excess AS (
    SELECT id, status, row_number() OVER (ORDER BY status = 'open' DESC, last_seen DESC, id DESC) AS place
    FROM sluice.quarantine WHERE id NOT IN (SELECT id FROM aged)
)
SELECT table_schema, table_name, status, count(*), min(last_seen), max(last_seen)
FROM sluice.quarantine
WHERE id IN (
    SELECT id FROM aged
    UNION ALL
    SELECT id FROM excess WHERE place > %(keep)s::bigint AND (status <> 'open' OR %(include_open)s)
)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3

-- name: prune
WITH aged AS (
    SELECT id FROM sluice.quarantine
    WHERE last_seen < %(before)s::timestamptz AND (status <> 'open' OR %(include_open)s)
), excess AS (
    SELECT id, status, row_number() OVER (ORDER BY status = 'open' DESC, last_seen DESC, id DESC) AS place
    FROM sluice.quarantine WHERE id NOT IN (SELECT id FROM aged)
), gone AS (
    DELETE FROM sluice.quarantine
    WHERE id IN (
        SELECT id FROM aged
        UNION ALL
        SELECT id FROM excess WHERE place > %(keep)s::bigint AND (status <> 'open' OR %(include_open)s)
    )
    RETURNING table_schema, table_name, status, last_seen
)
SELECT table_schema, table_name, status, count(*), min(last_seen), max(last_seen)
FROM gone GROUP BY 1, 2, 3 ORDER BY 1, 2, 3

-- name: columns
SELECT a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
