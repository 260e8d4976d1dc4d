-- Batches that wait for a person: the record here, the good rows in a table of their own (sluice_staging.hold_<id>).

CREATE SCHEMA IF NOT EXISTS sluice_staging;
COMMENT ON SCHEMA sluice_staging IS 'The good rows of open holds, one table each, in the types of the table they wait for.';

CREATE TABLE sluice.holds (
    id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_schema         text NOT NULL,
    table_name           text NOT NULL,
    partition            text,
    status               text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'released', 'rejected', 'superseded')),
    columns              jsonb NOT NULL,
    content_hash         text NOT NULL,
    rejected_hash        text NOT NULL,
    base                 bigint REFERENCES sluice.publications (id),
    restored             bigint[] NOT NULL,
    contract_version     text NOT NULL,
    contract_fingerprint text NOT NULL,
    code_version         text NOT NULL,
    rows_in              bigint NOT NULL,
    rows_held            bigint NOT NULL,
    rows_quarantined     bigint NOT NULL,
    passed               integer NOT NULL,
    warned               integer NOT NULL,
    failed               integer NOT NULL,
    seconds              double precision NOT NULL,
    results              jsonb NOT NULL,
    reasons              jsonb NOT NULL,
    run_id               text NOT NULL,
    correlation_id       text NOT NULL,
    held_at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    publication_id       bigint REFERENCES sluice.publications (id),
    decided_by           text NOT NULL DEFAULT '',
    why                  text NOT NULL DEFAULT '',
    decided_at           timestamptz
);
COMMENT ON TABLE sluice.holds IS 'One row per batch that waits, or waited, for a person. base is the publication it would replace.';
CREATE UNIQUE INDEX holds_open ON sluice.holds (table_schema, table_name, partition) NULLS NOT DISTINCT
    WHERE status = 'open';
CREATE INDEX holds_table ON sluice.holds (table_schema, table_name, partition, id);

CREATE TABLE sluice.held_rejections (
    hold_id    bigint NOT NULL REFERENCES sluice.holds (id),
    position   bigint NOT NULL,
    occurrence integer NOT NULL,
    payload    text NOT NULL,
    reasons    text NOT NULL,
    PRIMARY KEY (hold_id, position)
);
COMMENT ON TABLE sluice.held_rejections IS 'The rows that come into quarantine when an open hold is released.';

ALTER TABLE sluice.audits
    DROP CONSTRAINT audits_result_check,
    ADD CONSTRAINT audits_result_check CHECK (result IN ('published', 'unchanged', 'blocked', 'held')),
    ADD COLUMN hold_id bigint REFERENCES sluice.holds (id);
COMMENT ON COLUMN sluice.audits.hold_id IS 'The hold of a batch that was held.';
