-- name: lock
-- One build at a time; the lock is the session's and ends with it.
SELECT pg_advisory_lock(hashtextextended(%s, 0))

-- name: deadlock_timeout
-- Seconds after which a waiting session looks for a deadlock.
SELECT setting::float / 1000 FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'

-- name: relation
-- What a relation is: r table, p partitioned table, v view, m materialized view.
SELECT c.relkind::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')

-- name: mark
-- What is said of a schema; no row if there is none.
SELECT pg_catalog.obj_description(oid, 'pg_namespace') FROM pg_catalog.pg_namespace WHERE nspname = %s

-- name: columns
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- name: given
-- Columns to which values are given: all but generated ones.
SELECT a.attname
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum

-- name: sequences
-- How far the numbers of identity columns have come.
SELECT a.attname, s.last_value
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_depend AS d ON d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'i'
JOIN pg_catalog.pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_sequences AS s ON s.schemaname = n.nspname AND s.sequencename = c.relname
WHERE a.attrelid = %(relation)s::regclass AND a.attidentity <> '' AND s.last_value IS NOT NULL

-- name: default_grants
-- What tables that this role makes in a schema are granted of themselves.
SELECT acl.privilege_type, CASE acl.grantee WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(acl.grantee) END
FROM pg_catalog.pg_default_acl AS d
JOIN pg_catalog.pg_namespace AS n ON n.oid = d.defaclnamespace
CROSS JOIN pg_catalog.aclexplode(d.defaclacl) AS acl
WHERE n.nspname = %s AND d.defaclobjtype = 'r' AND d.defaclrole = current_user::regrole

-- name: dependents
-- The views that read a relation, or read what reads it.
WITH RECURSIVE readers AS (
    SELECT rule.ev_class AS id
    FROM pg_catalog.pg_depend AS depend
    JOIN pg_catalog.pg_rewrite AS rule ON rule.oid = depend.objid
    WHERE depend.classid = 'pg_catalog.pg_rewrite'::regclass
        AND depend.refclassid = 'pg_catalog.pg_class'::regclass
        AND depend.refobjid = %(relation)s::regclass
        AND rule.ev_class <> depend.refobjid
    UNION
    SELECT rule.ev_class
    FROM readers
    JOIN pg_catalog.pg_depend AS depend ON depend.refobjid = readers.id
    JOIN pg_catalog.pg_rewrite AS rule ON rule.oid = depend.objid
    WHERE depend.classid = 'pg_catalog.pg_rewrite'::regclass
        AND depend.refclassid = 'pg_catalog.pg_class'::regclass
        AND rule.ev_class <> depend.refobjid
)
SELECT n.nspname, c.relname
FROM readers
JOIN pg_catalog.pg_class AS c ON c.oid = readers.id
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY 1, 2

-- name: definition
SELECT pg_catalog.pg_get_viewdef(%(relation)s::regclass)

-- name: indexes
-- A materialized view's indexes.
SELECT pg_catalog.pg_get_indexdef(indexrelid) FROM pg_catalog.pg_index WHERE indrelid = %(relation)s::regclass
ORDER BY indexrelid

-- name: comments
-- What is said of a relation (column 0) and of its columns.
SELECT d.objsubid, a.attname, d.description
FROM pg_catalog.pg_description AS d
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0
WHERE d.classoid = 'pg_catalog.pg_class'::regclass AND d.objoid = %(relation)s::regclass
ORDER BY d.objsubid

-- name: leaning
-- Views that read what is in a staging schema, of those that were published.
SELECT DISTINCT reader_schema.nspname || '.' || reader.relname
FROM pg_catalog.pg_depend AS d
JOIN pg_catalog.pg_rewrite AS rule ON rule.oid = d.objid
JOIN pg_catalog.pg_class AS reader ON reader.oid = rule.ev_class
JOIN pg_catalog.pg_namespace AS reader_schema ON reader_schema.oid = reader.relnamespace
JOIN pg_catalog.pg_class AS leaned_on ON leaned_on.oid = d.refobjid
JOIN pg_catalog.pg_namespace AS staging ON staging.oid = leaned_on.relnamespace
WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
    AND staging.nspname = ANY(%(staging)s) AND reader_schema.nspname = ANY(%(published)s)
ORDER BY 1

-- name: outside
-- Rows of a build of some partitions that belong to others.
SELECT count(*) FROM {staged} WHERE ({slice}) IS NOT TRUE

-- name: granted
-- Who else may do what with a relation.
SELECT acl.privilege_type, CASE acl.grantee WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(acl.grantee) END
FROM pg_catalog.pg_class AS c, pg_catalog.aclexplode(c.relacl) AS acl
WHERE c.oid = %(relation)s::regclass AND acl.grantee <> c.relowner

-- name: remove
-- Rows that are published and were not built again; of equal rows, so many as there are too many.
WITH published AS (
    SELECT tableoid AS part, ctid AS place, ROW({columns})::text AS content,
        row_number() OVER (PARTITION BY ROW({columns})::text) AS nth
    FROM {published} WHERE {slice}
), built AS (
    SELECT ROW({columns})::text AS content, row_number() OVER (PARTITION BY ROW({columns})::text) AS nth
    FROM {staged} WHERE {slice}
)
DELETE FROM {published} WHERE (tableoid, ctid) IN (
    SELECT published.part, published.place FROM published LEFT JOIN built USING (content, nth)
    WHERE built.content IS NULL
)

-- name: add
-- Rows that were built and are not published. Those that are have been left in place.
INSERT INTO {published} ({columns}) OVERRIDING SYSTEM VALUE
SELECT {columns} FROM (
    SELECT {columns}, ROW({columns})::text AS sluice_content_,
        row_number() OVER (PARTITION BY ROW({columns})::text) AS sluice_nth_
    FROM {staged} WHERE {slice}
) AS built
WHERE NOT EXISTS (
    SELECT 1 FROM (
        SELECT ROW({columns})::text AS content, row_number() OVER (PARTITION BY ROW({columns})::text) AS nth
        FROM {published} WHERE {slice}
    ) AS published
    WHERE published.content = built.sluice_content_ AND published.nth = built.sluice_nth_
)
