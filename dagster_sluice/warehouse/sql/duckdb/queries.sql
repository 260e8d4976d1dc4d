-- What the warehouse is asked. $names are bound parameters. The current schema is the ledger's.

-- name: is_file
SELECT path FROM duckdb_databases() WHERE database_name = current_database() AND type = 'duckdb' AND path IS NOT NULL

-- name: has_ledger
SELECT count(*) FROM duckdb_tables()
WHERE database_name = current_database() AND schema_name = 'sluice' AND table_name = 'ledger_version'

-- name: ledger_version
SELECT coalesce(max(version), 0) FROM ledger_version

-- name: current
SELECT id, partition, content_hash, contract_fingerprint, code_version, rows_published, rows_quarantined,
    published_at, run_id
FROM publications
WHERE table_schema = $schema AND table_name = $table AND superseded_at IS NULL
  AND ($partitions::TEXT[] IS NULL OR partition IN (SELECT unnest($partitions::TEXT[])))
ORDER BY id

-- name: audits
SELECT table_schema, table_name, partition, result, rows_in, rows_published, rows_quarantined, passed, warned, failed,
    seconds, judged_at, reasons::TEXT, hold_id
FROM audits WHERE correlation_id = $correlation_id ORDER BY id

-- name: history
-- The audit of a batch counts all that its publication has; the audit of a replay only the rows it added.
SELECT d.id, d.partition, d.result, d.rows_in, d.rows_published, d.rows_quarantined, d.passed, d.warned, d.failed,
    d.seconds, d.judged_at, d.reasons::TEXT, d.run_id, d.correlation_id, d.contract_version, d.contract_fingerprint,
    d.publication_id, d.results::TEXT
FROM (
    SELECT a.partition AS key, max(a.id) AS id
    FROM audits a LEFT JOIN publications p ON p.id = a.publication_id
    WHERE a.table_schema = $schema AND a.table_name = $table
      AND ($partitions::TEXT[] IS NULL OR a.partition IN (SELECT unnest($partitions::TEXT[])))
      AND ($until::TEXT IS NULL OR a.partition <= $until)
      AND ($run_id::TEXT IS NULL OR a.run_id = $run_id)
      AND (p.id IS NULL OR a.rows_published = p.rows_published)
    GROUP BY a.partition, CASE WHEN a.partition IS NULL THEN a.id END
    ORDER BY key DESC NULLS LAST, id DESC
    LIMIT $limit
) latest JOIN audits d ON d.id = latest.id
ORDER BY latest.key NULLS FIRST, d.id

-- name: tables
SELECT p.table_schema, p.table_name, count(*), sum(p.rows_published)::BIGINT, coalesce(max(q.open_rows), 0),
    max(p.published_at), min(p.partition), max(p.partition)
FROM publications p
LEFT JOIN (
    SELECT table_schema, table_name, count(*) AS open_rows FROM quarantine WHERE status = 'open' GROUP BY 1, 2
) q USING (table_schema, table_name)
WHERE p.superseded_at IS NULL
GROUP BY 1, 2 ORDER BY 1, 2

-- name: quarantined
SELECT id, table_schema, table_name, partition, payload::TEXT, reasons::TEXT, status, run_id, correlation_id, first_seen,
    last_seen, replacement::TEXT, publication_id, why, settled_at
FROM quarantine
WHERE ($schema::TEXT IS NULL OR table_schema = $schema) AND ($table::TEXT IS NULL OR table_name = $table)
  AND ($partition::TEXT IS NULL OR partition = $partition)
  AND ($status::TEXT IS NULL OR status = $status)
ORDER BY last_seen DESC, id DESC LIMIT $limit

-- name: quarantine_rows
SELECT id, table_schema, table_name, partition, payload::TEXT, reasons::TEXT, status, run_id, correlation_id, first_seen,
    last_seen, replacement::TEXT, publication_id, why, settled_at
FROM quarantine WHERE id IN (SELECT unnest($ids::BIGINT[])) ORDER BY id

-- name: quarantine_counts
SELECT table_schema, table_name, status, count(*), min(last_seen), max(last_seen)
FROM quarantine GROUP BY 1, 2, 3 ORDER BY 1, 2, 3

-- name: mended
SELECT id, row_hash, occurrence, replacement::TEXT
FROM quarantine
WHERE table_schema = $schema AND table_name = $table AND partition IS NOT DISTINCT FROM $partition::TEXT
  AND status = 'replayed' AND replacement IS NOT NULL
ORDER BY id

-- name: discardable
SELECT id FROM quarantine WHERE id IN (SELECT unnest($ids::BIGINT[])) AND status = 'open' ORDER BY id

-- name: discard
UPDATE quarantine SET status = 'discarded', why = $why, settled_at = now()
WHERE id IN (SELECT unnest($ids::BIGINT[])) AND status = 'open'

-- name: prunable
-- First what is too old; of the rest, what is more than may be kept. Open rows are the last to go, if they go at all.
WITH aged AS (
    SELECT id FROM quarantine WHERE last_seen < $before::TIMESTAMPTZ AND (status <> 'open' OR $include_open)
), excess AS (
    SELECT id, status, row_number() OVER (ORDER BY status = 'open' DESC, last_seen DESC, id DESC) AS place
    FROM quarantine WHERE id NOT IN (SELECT id FROM aged)
)
SELECT id FROM aged
UNION ALL
SELECT id FROM excess WHERE place > $keep::BIGINT AND (status <> 'open' OR $include_open)

-- name: counted
SELECT table_schema, table_name, status, count(*), min(last_seen), max(last_seen)
FROM quarantine WHERE id IN (SELECT id FROM sluice_pruned)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3

-- name: prune
DELETE FROM quarantine WHERE id IN (SELECT id FROM sluice_pruned)

-- name: schemas
SELECT DISTINCT schema_name FROM duckdb_schemas() WHERE database_name = current_database()

-- name: tables_of
SELECT DISTINCT table_name FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = $schema

-- name: columns
SELECT column_name, data_type, comment
FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = $schema AND table_name = $table
ORDER BY column_index

-- name: holds
SELECT id, table_schema, table_name, partition, status, columns::TEXT, content_hash, base, rows_held, rows_quarantined,
    held_at, publication_id, decided_by, why, decided_at, contract_version, contract_fingerprint, code_version, rows_in,
    passed, warned, failed, seconds, results::TEXT, reasons::TEXT, run_id, correlation_id
FROM holds
WHERE ($schema::TEXT IS NULL OR table_schema = $schema) AND ($table::TEXT IS NULL OR table_name = $table)
  AND ($partition::TEXT IS NULL OR partition = $partition)
  AND ($status::TEXT IS NULL OR status = $status)
  AND ($ids::BIGINT[] IS NULL OR id IN (SELECT unnest($ids::BIGINT[])))
ORDER BY id DESC LIMIT $limit

-- name: ledgers
-- What stands of many tables.
SELECT w.number, p.partition, p.published_at AS published, p.computed_at AS computed, p.code_version <> w.code AS other_code
FROM publications p
JOIN (SELECT unnest(from_json($asked, '[{"number":"INTEGER","schema":"TEXT","table":"TEXT","code":"TEXT"}]'), recursive := true)) w
  ON p.table_schema = w.schema AND p.table_name = w."table"
WHERE p.superseded_at IS NULL

-- name: stopped
-- Batches that were blocked or held after what stands was computed: the last of each partition.
SELECT w.number, a.partition, a.judged_at, a.reasons::TEXT
FROM audits a
JOIN (SELECT unnest(from_json($asked, '[{"number":"INTEGER","schema":"TEXT","table":"TEXT","code":"TEXT"}]'), recursive := true)) w
  ON a.table_schema = w.schema AND a.table_name = w."table"
WHERE a.result IN ('blocked', 'held')
  AND NOT EXISTS (
      SELECT 1 FROM publications p
      WHERE p.table_schema = a.table_schema AND p.table_name = a.table_name
        AND p.partition IS NOT DISTINCT FROM a.partition AND p.superseded_at IS NULL AND p.computed_at > a.judged_at
  )
QUALIFY row_number() OVER (PARTITION BY w.number, a.partition ORDER BY a.id DESC) = 1

-- name: durations
SELECT number, median(seconds) FROM (
    SELECT w.number, a.seconds
    FROM audits a
    JOIN (SELECT unnest(from_json($asked, '[{"number":"INTEGER","schema":"TEXT","table":"TEXT"}]'), recursive := true)) w
      ON a.table_schema = w.schema AND a.table_name = w."table"
    WHERE a.result IN ('published', 'unchanged')
    QUALIFY row_number() OVER (PARTITION BY w.number ORDER BY a.id DESC) <= 30
)
GROUP BY number

-- name: timelines
-- When each partition of many tables was first published, and whether it stands. Keys before `since` are left out.
SELECT w.number, coalesce(p.partition, '') AS partition, min(p.published_at) AS first,
    bool_or(p.superseded_at IS NULL) AS stands
FROM publications p
JOIN (SELECT unnest(from_json($asked, '[{"number":"INTEGER","schema":"TEXT","table":"TEXT","since":"TEXT"}]'), recursive := true)) w
  ON p.table_schema = w.schema AND p.table_name = w."table" AND coalesce(p.partition, '') >= w.since
GROUP BY ALL

-- name: refreshes
-- When whole batches of some tables were published or found unchanged. A replay adds rows and computes nothing: its audit
-- counts other rows than its publication.
SELECT w.number, coalesce(a.partition, ''), a.judged_at
FROM audits a
JOIN (SELECT unnest(from_json($asked, '[{"number":"INTEGER","schema":"TEXT","table":"TEXT","refreshed":"TIMESTAMPTZ"}]'), recursive := true)) w
  ON a.table_schema = w.schema AND a.table_name = w."table"
LEFT JOIN publications p ON p.id = a.publication_id
WHERE a.result IN ('published', 'unchanged') AND a.judged_at >= w.refreshed
  AND (p.id IS NULL OR a.rows_published = p.rows_published)
ORDER BY w.number, a.judged_at
