-- When a publication was computed, and last confirmed: what its sources had later is not in it.

ALTER TABLE sluice.publications ADD COLUMN computed_at timestamptz;
UPDATE sluice.publications SET computed_at = published_at;
ALTER TABLE sluice.publications ALTER COLUMN computed_at SET NOT NULL;
CREATE INDEX audits_stopped ON sluice.audits (table_schema, table_name, partition, id)
    WHERE result IN ('blocked', 'held');
CREATE INDEX audits_latest ON sluice.audits (table_schema, table_name, id);
