-- What the warehouse is asked. %(name)s are bound parameters.

-- name: ledger_version
SELECT coalesce(max(version), 0) FROM sluice.ledger_version

-- name: current
-- What is published in a table that was dropped is not there any more.
SELECT id, partition, content_hash, contract_fingerprint, code_version, rows_published, rows_quarantined,
    published_at, run_id
FROM sluice.publications
WHERE table_schema = %(schema)s AND table_name = %(table)s AND superseded_at IS NULL
  AND to_regclass(quote_ident(table_schema) || '.' || quote_ident(table_name)) IS NOT NULL
  AND (%(partitions)s::text[] IS NULL OR partition = ANY (%(partitions)s::text[]))

-- name: supersede_all
UPDATE sluice.publications SET superseded_at = clock_timestamp()
WHERE table_schema = %(schema)s AND table_name = %(table)s AND superseded_at IS NULL

-- name: audits
SELECT table_schema, table_name, partition, result, rows_in, rows_published, rows_quarantined, passed, warned, failed,
    seconds, judged_at, reasons, hold_id
FROM sluice.audits WHERE correlation_id = %(correlation_id)s ORDER BY id

-- name: history
-- The audit of a batch counts all that its publication has; the audit of a replay only the rows it added.
SELECT d.id, d.partition, d.result, d.rows_in, d.rows_published, d.rows_quarantined, d.passed, d.warned, d.failed,
    d.seconds, d.judged_at, d.reasons, d.run_id, d.correlation_id, d.contract_version, d.contract_fingerprint,
    d.publication_id, d.results
FROM (
    SELECT a.partition COLLATE "C" AS key, max(a.id) AS id
    FROM sluice.audits a LEFT JOIN sluice.publications p ON p.id = a.publication_id
    WHERE a.table_schema = %(schema)s AND a.table_name = %(table)s
      AND (%(partitions)s::text[] IS NULL OR a.partition = ANY (%(partitions)s::text[]))
      AND (%(until)s::text IS NULL OR a.partition COLLATE "C" <= %(until)s::text)
      AND (%(run_id)s::text IS NULL OR a.run_id = %(run_id)s)
      AND (p.id IS NULL OR a.rows_published = p.rows_published)
    GROUP BY a.partition COLLATE "C", CASE WHEN a.partition IS NULL THEN a.id END
    ORDER BY key DESC NULLS LAST, id DESC
    LIMIT %(limit)s
) latest JOIN sluice.audits d ON d.id = latest.id
ORDER BY latest.key NULLS FIRST, d.id

-- name: tables
SELECT p.table_schema, p.table_name, count(*), sum(p.rows_published)::bigint, coalesce(max(q.open_rows), 0),
    max(p.published_at), min(p.partition), max(p.partition)
FROM sluice.publications p
LEFT JOIN (
    SELECT table_schema, table_name, count(*) AS open_rows FROM sluice.quarantine WHERE status = 'open' GROUP BY 1, 2
) q USING (table_schema, table_name)
WHERE p.superseded_at IS NULL
  AND to_regclass(quote_ident(p.table_schema) || '.' || quote_ident(p.table_name)) IS NOT NULL
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

-- name: holds
SELECT id, table_schema, table_name, partition, status, columns, content_hash, base, rows_held, rows_quarantined, held_at,
    publication_id, decided_by, why, decided_at, contract_version, contract_fingerprint, code_version, rows_in, passed,
    warned, failed, seconds, results, reasons, run_id, correlation_id
FROM sluice.holds
WHERE (%(schema)s::text IS NULL OR table_schema = %(schema)s) AND (%(table)s::text IS NULL OR table_name = %(table)s)
  AND (%(partition)s::text IS NULL OR partition = %(partition)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(ids)s::bigint[] IS NULL OR id = ANY (%(ids)s::bigint[]))
ORDER BY id DESC LIMIT %(limit)s

-- name: columns
SELECT a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- name: ledgers
-- What stands of many tables, a row for each table: its columns aggregated, in one order. 2,000,000 rows would take three
-- times as long to send. Moments are microseconds since 2000 in eight bytes, as Postgres keeps them.
SELECT w.number, standing.*
FROM json_to_recordset($1::text::json) AS w (number int, schema text, "table" text, code text)
CROSS JOIN LATERAL (
    SELECT array_agg(p.partition) AS partitions,
        string_agg(timestamptz_send(p.published_at), '') AS published,
        string_agg(timestamptz_send(p.computed_at), '') AS computed,
        string_agg(boolsend(p.code_version <> w.code), '') AS other_code
    FROM sluice.publications p
    WHERE p.table_schema = w.schema AND p.table_name = w."table" AND p.superseded_at IS NULL
    HAVING count(*) > 0
) AS standing

-- name: stopped
-- Batches that were blocked or held after what stands was computed: the last of each partition.
SELECT DISTINCT ON (w.number, a.partition) w.number, a.partition, a.judged_at, a.reasons
FROM sluice.audits a
JOIN json_to_recordset(%(asked)s::json) AS w (number int, schema text, "table" text, code text)
  ON a.table_schema = w.schema AND a.table_name = w."table"
WHERE a.result IN ('blocked', 'held')
  AND NOT EXISTS (
      SELECT 1 FROM sluice.publications p
      WHERE p.table_schema = a.table_schema AND p.table_name = a.table_name
        AND p.partition IS NOT DISTINCT FROM a.partition AND p.superseded_at IS NULL AND p.computed_at > a.judged_at
  )
ORDER BY w.number, a.partition, a.id DESC

-- name: durations
SELECT w.number, percentile_cont(0.5) WITHIN GROUP (ORDER BY latest.seconds)
FROM json_to_recordset(%(asked)s::json) AS w (number int, schema text, "table" text)
CROSS JOIN LATERAL (
    SELECT a.seconds FROM sluice.audits a
    WHERE a.table_schema = w.schema AND a.table_name = w."table" AND a.result IN ('published', 'unchanged')
    ORDER BY a.id DESC LIMIT 30
) AS latest
GROUP BY w.number

-- name: timelines
-- When each partition of many tables was first published and whether it stands, a row for each table: its columns
-- aggregated, in one order. Keys before `since` are left out. Moments are as in ledgers.
SELECT w.number, life.*
FROM json_to_recordset($1::text::json) AS w (number int, schema text, "table" text, since text)
CROSS JOIN LATERAL (
    SELECT array_agg(one.key) AS partitions,
        string_agg(timestamptz_send(one.first), '') AS first,
        string_agg(boolsend(one.stands), '') AS stands
    FROM (
        SELECT coalesce(p.partition, '') COLLATE "C" AS key, min(p.published_at) AS first,
            bool_or(p.superseded_at IS NULL) AS stands
        FROM sluice.publications p
        WHERE p.table_schema = w.schema AND p.table_name = w."table"
          AND coalesce(p.partition, '') COLLATE "C" >= w.since
        GROUP BY coalesce(p.partition, '') COLLATE "C"
    ) AS one
    HAVING count(*) > 0
) AS life

-- name: refreshes
-- When whole batches of some tables were published or found unchanged. A replay adds rows and computes nothing: its audit
-- counts other rows than its publication.
SELECT w.number, coalesce(a.partition, ''), a.judged_at
FROM json_to_recordset(%(asked)s::json) AS w (number int, schema text, "table" text, refreshed timestamptz)
JOIN sluice.audits a ON a.table_schema = w.schema AND a.table_name = w."table"
LEFT JOIN sluice.publications p ON p.id = a.publication_id
WHERE a.result IN ('published', 'unchanged') AND a.judged_at >= w.refreshed
  AND (p.id IS NULL OR a.rows_published = p.rows_published)
ORDER BY w.number, a.judged_at

-- name: column_types
SELECT w.number, format_type(a.atttypid, NULL)
FROM json_to_recordset(%(asked)s::json) AS w (number int, schema text, "table" text, "column" text)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w."table" AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = w."column" AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY w.number
