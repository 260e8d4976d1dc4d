-- dagster_sluice/warehouse/sql/postgres/0002_replay.sql
-- What became of a quarantined row by a person's hand: replayed as it was or mended, or discarded.

ALTER TABLE sluice.quarantine
    ADD COLUMN replacement    jsonb,
    ADD COLUMN publication_id bigint REFERENCES sluice.publications (id),
    ADD COLUMN why            text NOT NULL DEFAULT '',
    ADD COLUMN settled_at     timestamptz;
COMMENT ON COLUMN sluice.quarantine.replacement IS
    'The row as a replay published it. It is published again in place of this one, as long as the source gives this one.';
CREATE INDEX quarantine_publication ON sluice.quarantine (publication_id) WHERE publication_id IS NOT NULL;
