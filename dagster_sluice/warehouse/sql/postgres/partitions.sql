-- A table with native partitions: one leaf for each key, in the schema sluice_partitions. Reads the temporary table
-- sluice_request, whose partition is meant. {parent}, {leaf} and {old} are quoted identifiers, or literals of such where a
-- statement gives the text of another one: a key cannot be bound there, and Postgres itself quotes it.

-- name: leaf
-- Postgres prints a bound as it has standard_conforming_strings: the quote is doubled, and nothing else.
SELECT format('%I.%I', n.nspname, c.relname)
FROM sluice_request r, pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = {parent}::regclass AND NOT i.inhdetachpending
  AND pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES IN (''' || replace(r.partition, '''', '''''') || ''')'

-- name: make
CREATE TABLE {leaf} (
    LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION
)

-- name: make_like
CREATE TABLE {leaf} (
    LIKE {old} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION
    INCLUDING INDEXES
)

-- name: promise
-- With it, Postgres need not look at every row when the leaf is attached.
SELECT format('ALTER TABLE %s ADD CONSTRAINT sluice_key CHECK (_partition = %L)', {leaf}, partition) FROM sluice_request

-- name: attach
SELECT format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES IN (%L)', {parent}, {leaf}, partition) FROM sluice_request

-- name: release
ALTER TABLE {leaf} DROP CONSTRAINT sluice_key

-- name: drop
DROP TABLE {leaf}

-- name: move
INSERT INTO {old} ({columns}) SELECT {columns} FROM {leaf}
