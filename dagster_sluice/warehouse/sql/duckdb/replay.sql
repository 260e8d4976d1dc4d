-- One replay. Reads temporary tables of this connection: sluice_request (one row: the replay's record) and
-- sluice_replayed (one row for each quarantined row: id, and either the payload that is added for it or the reasons why
-- it stays open); and sluice_rows (the rows to add, in Arrow). current, insert, supersede, publication and audit are those
-- of publish.sql.

-- name: still_open
SELECT count(*)
FROM quarantine q, sluice_request r
WHERE q.id IN (SELECT id FROM sluice_replayed) AND q.status = 'open'
  AND q.table_schema = r.table_schema AND q.table_name = r.table_name
  AND q.partition IS NOT DISTINCT FROM r.partition

-- name: totals
-- The publication is one of the whole partition: its rows, and those that stay in quarantine.
UPDATE sluice_request r
SET rows_published = t.rows_standing + r.rows_published, rows_quarantined = t.rows_open,
    rows_in = t.rows_standing + r.rows_published + t.rows_open
FROM (
    SELECT (
        SELECT p.rows_published FROM publications p, sluice_request s
        WHERE p.table_schema = s.table_schema AND p.table_name = s.table_name
          AND p.partition IS NOT DISTINCT FROM s.partition AND p.superseded_at IS NULL
    ) AS rows_standing, (
        SELECT count(*) FROM quarantine q, sluice_request s
        WHERE q.table_schema = s.table_schema AND q.table_name = s.table_name
          AND q.partition IS NOT DISTINCT FROM s.partition AND q.status = 'open'
          AND q.id NOT IN (SELECT id FROM sluice_replayed WHERE payload IS NOT NULL)
    ) AS rows_open
) AS t

-- name: passed
UPDATE quarantine q
SET status = 'replayed', replacement = p.payload, why = p.why, settled_at = now(),
    publication_id = (
        SELECT c.id FROM publications c, sluice_request r
        WHERE c.table_schema = r.table_schema AND c.table_name = r.table_name
          AND c.partition IS NOT DISTINCT FROM r.partition AND c.superseded_at IS NULL
    )
FROM sluice_replayed p
WHERE q.id = p.id AND p.payload IS NOT NULL

-- name: failed
UPDATE quarantine q
SET reasons = p.reasons, last_seen = now()
FROM sluice_replayed p
WHERE q.id = p.id AND p.payload IS NULL

-- name: account
-- The audit is one of the replayed rows alone.
UPDATE sluice_request
SET rows_in = t.passed + t.failed, rows_published = t.passed, rows_quarantined = t.failed,
    result = CASE WHEN t.passed > 0 THEN 'published' ELSE 'unchanged' END
FROM (SELECT count(payload) AS passed, count(*) - count(payload) AS failed FROM sluice_replayed) AS t
