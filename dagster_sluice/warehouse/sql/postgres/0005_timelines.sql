-- When each partition was first published, of the last partitions only.

CREATE INDEX publications_timeline
    ON sluice.publications (table_schema, table_name, (coalesce(partition, '') COLLATE "C"));
