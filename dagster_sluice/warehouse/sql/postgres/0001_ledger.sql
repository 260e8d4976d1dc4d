-- The warehouse's own records. They live beside the tables because they change in the same transaction.

CREATE TABLE sluice.publications (
    id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_schema         text NOT NULL,
    table_name           text NOT NULL,
    partition            text,
    content_hash         text NOT NULL,
    contract_version     text NOT NULL,
    contract_fingerprint text NOT NULL,
    code_version         text NOT NULL,
    rows_in              bigint NOT NULL,
    rows_published       bigint NOT NULL,
    rows_quarantined     bigint NOT NULL,
    run_id               text NOT NULL,
    correlation_id       text NOT NULL,
    published_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    superseded_at        timestamptz
);
COMMENT ON TABLE sluice.publications IS 'One row per publish; the current one of a partition has no superseded_at.';
CREATE UNIQUE INDEX publications_current ON sluice.publications (table_schema, table_name, partition)
    NULLS NOT DISTINCT WHERE superseded_at IS NULL;

CREATE TABLE sluice.audits (
    id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_schema         text NOT NULL,
    table_name           text NOT NULL,
    partition            text,
    result               text NOT NULL CHECK (result IN ('published', 'unchanged', 'blocked')),
    publication_id       bigint REFERENCES sluice.publications (id),
    contract_version     text NOT NULL,
    contract_fingerprint text NOT NULL,
    rows_in              bigint NOT NULL,
    rows_published       bigint NOT NULL,
    rows_quarantined     bigint NOT NULL,
    passed               integer NOT NULL,
    warned               integer NOT NULL,
    failed               integer NOT NULL,
    seconds              double precision NOT NULL,
    results              jsonb NOT NULL,
    reasons              jsonb NOT NULL,
    run_id               text NOT NULL,
    correlation_id       text NOT NULL,
    judged_at            timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE sluice.audits IS 'One row per batch that came to a gate, whatever became of it.';
CREATE INDEX audits_correlation ON sluice.audits (correlation_id);
CREATE INDEX audits_table ON sluice.audits (table_schema, table_name, partition, id);

CREATE TABLE sluice.quarantine (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_schema   text NOT NULL,
    table_name     text NOT NULL,
    partition      text,
    row_hash       text NOT NULL,
    occurrence     integer NOT NULL,
    payload        jsonb NOT NULL,
    reasons        jsonb NOT NULL,
    status         text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'passed', 'replayed', 'discarded')),
    run_id         text NOT NULL,
    correlation_id text NOT NULL,
    first_seen     timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen      timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE sluice.quarantine IS 'Rows kept out of a publish. occurrence tells equal rows of one batch apart.';
CREATE UNIQUE INDEX quarantine_row ON sluice.quarantine (table_schema, table_name, partition, row_hash, occurrence)
    NULLS NOT DISTINCT;
CREATE INDEX quarantine_open ON sluice.quarantine (table_schema, table_name) WHERE status = 'open';
