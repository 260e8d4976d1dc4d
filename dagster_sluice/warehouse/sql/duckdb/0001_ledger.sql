-- The warehouse's own records, in the schema `sluice` of the same file, which is the current one when this is run.
-- What Postgres holds by indexes (one current publication of a partition, a quarantined row only once) holds here because
-- a transaction has the file to itself. DuckDB checks a key against rows that the same transaction has deleted or updated,
-- and has no partial ones, so there are none.

CREATE SEQUENCE publication_number;
CREATE SEQUENCE audit_number;
CREATE SEQUENCE quarantine_number;
CREATE SEQUENCE hold_number;

CREATE TABLE publications (
    id                   BIGINT NOT NULL,
    table_schema         TEXT NOT NULL,
    table_name           TEXT NOT NULL,
    partition            TEXT,
    content_hash         TEXT NOT NULL,
    contract_version     TEXT NOT NULL,
    contract_fingerprint TEXT NOT NULL,
    code_version         TEXT NOT NULL,
    rows_in              BIGINT NOT NULL,
    rows_published       BIGINT NOT NULL,
    rows_quarantined     BIGINT NOT NULL,
    run_id               TEXT NOT NULL,
    correlation_id       TEXT NOT NULL,
    published_at         TIMESTAMPTZ NOT NULL DEFAULT now(),
    superseded_at        TIMESTAMPTZ,
    computed_at          TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE publications IS 'One row per publish; the current one of a partition has no superseded_at.';

CREATE TABLE audits (
    id                   BIGINT NOT NULL,
    table_schema         TEXT NOT NULL,
    table_name           TEXT NOT NULL,
    partition            TEXT,
    result               TEXT NOT NULL CHECK (result IN ('published', 'unchanged', 'blocked', 'held')),
    publication_id       BIGINT,
    hold_id              BIGINT,
    contract_version     TEXT NOT NULL,
    contract_fingerprint TEXT NOT NULL,
    rows_in              BIGINT NOT NULL,
    rows_published       BIGINT NOT NULL,
    rows_quarantined     BIGINT NOT NULL,
    passed               INTEGER NOT NULL,
    warned               INTEGER NOT NULL,
    failed               INTEGER NOT NULL,
    seconds              DOUBLE NOT NULL,
    results              JSON NOT NULL,
    reasons              JSON NOT NULL,
    run_id               TEXT NOT NULL,
    correlation_id       TEXT NOT NULL,
    judged_at            TIMESTAMPTZ NOT NULL DEFAULT now()
);
COMMENT ON TABLE audits IS 'One row per batch that came to a gate, whatever became of it.';

CREATE TABLE quarantine (
    id             BIGINT NOT NULL,
    table_schema   TEXT NOT NULL,
    table_name     TEXT NOT NULL,
    partition      TEXT,
    row_hash       TEXT NOT NULL,
    occurrence     INTEGER NOT NULL,
    payload        JSON NOT NULL,
    reasons        JSON NOT NULL,
    status         TEXT NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'passed', 'replayed', 'discarded')),
    run_id         TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    first_seen     TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_seen      TIMESTAMPTZ NOT NULL DEFAULT now(),
    replacement    JSON,
    publication_id BIGINT,
    why            TEXT NOT NULL DEFAULT '',
    settled_at     TIMESTAMPTZ
);
COMMENT ON TABLE quarantine IS 'Rows kept out of a publish. occurrence tells equal rows of one batch apart.';
COMMENT ON COLUMN quarantine.replacement IS
    'The row as a replay published it. It is published again in place of this one, as long as the source gives this one.';

CREATE TABLE holds (
    id                   BIGINT NOT NULL,
    table_schema         TEXT NOT NULL,
    table_name           TEXT NOT NULL,
    partition            TEXT,
    status               TEXT NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'released', 'rejected', 'superseded')),
    columns              JSON NOT NULL,
    content_hash         TEXT NOT NULL,
    rejected_hash        TEXT NOT NULL,
    base                 BIGINT,
    restored             BIGINT[] NOT NULL,
    contract_version     TEXT NOT NULL,
    contract_fingerprint TEXT NOT NULL,
    code_version         TEXT NOT NULL,
    rows_in              BIGINT NOT NULL,
    rows_held            BIGINT NOT NULL,
    rows_quarantined     BIGINT NOT NULL,
    passed               INTEGER NOT NULL,
    warned               INTEGER NOT NULL,
    failed               INTEGER NOT NULL,
    seconds              DOUBLE NOT NULL,
    results              JSON NOT NULL,
    reasons              JSON NOT NULL,
    run_id               TEXT NOT NULL,
    correlation_id       TEXT NOT NULL,
    held_at              TIMESTAMPTZ NOT NULL DEFAULT now(),
    publication_id       BIGINT,
    decided_by           TEXT NOT NULL DEFAULT '',
    why                  TEXT NOT NULL DEFAULT '',
    decided_at           TIMESTAMPTZ
);
COMMENT ON TABLE holds IS 'One row per batch that waits, or waited, for a person. base is the publication it would replace.';

CREATE TABLE held_rejections (
    hold_id    BIGINT NOT NULL,
    position   BIGINT NOT NULL,
    occurrence INTEGER NOT NULL,
    payload    JSON NOT NULL,
    reasons    JSON NOT NULL
);
COMMENT ON TABLE held_rejections IS 'The rows that come into quarantine when an open hold is released.';
