"""What was built becomes what readers see: on Postgres, with tables that SQL makes in place of dbt."""

import datetime as dt
import threading
from contextlib import ExitStack

import psycopg
import pytest
from psycopg import sql
from scenario import AWKWARD_NAMES

from dagster_sluice.dbt.nodes import Node
from dagster_sluice.dbt.publishing import outside, publish
from dagster_sluice.dbt.slices import Slice
from dagster_sluice.dbt.staging import Staging, build_turn
from dagster_sluice.errors import PublishError, SettingError

UTC = dt.timezone.utc
THIRD = Slice(keys=["2024-03-03"], start=dt.datetime(2024, 3, 3, tzinfo=UTC), end=dt.datetime(2024, 3, 4, tzinfo=UTC))


def node(name, materialized="table", *parents, schema="marts", column=None, grants=False):
    return Node(
        id=f"model.x.{name}",
        name=name,
        schema=schema,
        alias=name,
        materialized=materialized,
        column=column,
        parents=tuple(f"model.x.{parent}" for parent in parents),
        grants=grants,
    )


@pytest.fixture
def run(database_url):
    with psycopg.connect(database_url, autocommit=True) as session:
        yield lambda text, *values: _rows(session.execute(text, *values))


def _rows(cursor):
    return cursor.fetchall() if cursor.description else None


class House:
    """Builds as dbt would, by SQL: ``build`` prepares, makes, publishes."""

    def __init__(self, url, run):
        self.url, self.run = url, run

    def build(self, nodes, *statements, part=None, full_refresh=False, only=None, lock_timeout=10.0):
        with build_turn(self.url, {node.schema for node in nodes}) as session:
            staging = Staging(session, nodes, part=part, full_refresh=full_refresh)
            staging.prepare()
            for statement in statements:
                self.run(statement)
            self.outside = {node.name: outside(staging, node) for node in nodes}
            chosen = [node for node in nodes if only is None or node.name in only]
            return publish(staging, chosen, lock_timeout=lock_timeout, url=self.url)

    def rows(self, table, order="1"):
        return self.run(f"SELECT * FROM {table} ORDER BY {order}")

    def kind(self, table):
        return self.run("SELECT relkind::text FROM pg_class WHERE oid = %s::regclass", [table])[0][0]


@pytest.fixture
def house(database_url, run):
    return House(database_url, run)


T = "CREATE TABLE marts__sluice.t AS SELECT 1 AS a, 'x'::text AS b"


def test_a_first_table_is_published_and_then_replaced(house):
    found = house.build([node("t")], T)
    assert (found["model.x.t"].rows, found["model.x.t"].built, found["model.x.t"].changed) == (1, 1, None)
    house.build([node("t")], "CREATE TABLE marts__sluice.t AS SELECT g AS other FROM generate_series(1, 3) AS g")
    assert house.rows("marts.t") == [(1,), (2,), (3,)]


def test_a_table_that_is_not_passed_on_stays_as_it_was_and_what_was_built_can_be_looked_at(house):
    house.build([node("t")], T)
    house.build([node("t")], "CREATE TABLE marts__sluice.t AS SELECT 2 AS a, 'y'::text AS b", only=[])
    assert house.rows("marts.t") == [(1, "x")]
    assert house.rows("marts__sluice.t") == [(2, "y")]
    house.build([node("other")], "CREATE TABLE marts__sluice.other AS SELECT 1 AS a")
    assert house.run("SELECT to_regclass('marts__sluice.t')") == [(None,)]


def test_views_read_what_is_published(house, run):
    chain = [node("t"), node("v", "view", "t"), node("w", "view", "v"), node("u", "table", "w")]
    made = (
        T,
        "CREATE VIEW marts__sluice.v AS SELECT a, b FROM marts__sluice.t",
        "CREATE VIEW marts__sluice.w AS SELECT v.a, (SELECT max(t.a) FROM marts__sluice.t) AS m FROM marts__sluice.v",
        "CREATE TABLE marts__sluice.u AS SELECT * FROM marts__sluice.w",
    )
    house.build(chain, *made)
    house.build(chain, T.replace("1 AS", "7 AS"), *made[1:])
    assert house.rows("marts.w") == house.rows("marts.u") == [(7, 7)]
    assert "__sluice" not in "".join(*run("SELECT string_agg(definition, '') FROM pg_views WHERE schemaname = 'marts'"))
    run("DROP SCHEMA marts__sluice CASCADE")
    assert house.rows("marts.w") == [(7, 7)]


def test_views_whose_columns_change_and_what_reads_them(house):
    nodes = [node("v", "view"), node("w", "view", "v")]
    house.build(
        nodes,
        "CREATE VIEW marts__sluice.v AS SELECT 1 AS a, 2 AS b",
        "CREATE VIEW marts__sluice.w AS SELECT a FROM marts__sluice.v",
    )
    house.build(
        nodes,
        "CREATE VIEW marts__sluice.v AS SELECT 'x'::text AS c",
        "CREATE VIEW marts__sluice.w AS SELECT c FROM marts__sluice.v",
    )
    assert house.rows("marts.w") == [("x",)]


def test_a_view_of_somebody_else_survives_as_long_as_the_columns_stay(house, run):
    house.build([node("t")], T)
    run("CREATE SCHEMA theirs; CREATE VIEW theirs.report AS SELECT a FROM marts.t")
    found = house.build([node("t")], "CREATE TABLE marts__sluice.t AS SELECT 5 AS a, 'x'::text AS b")
    assert found["model.x.t"].changed == 2
    assert house.rows("theirs.report") == [(5,)]
    other = [node("t"), node("other")]
    with pytest.raises(PublishError, match=r"marts\.t.*theirs\.report"):
        house.build(
            other,
            "CREATE TABLE marts__sluice.other AS SELECT 1 AS a",
            "CREATE TABLE marts__sluice.t AS SELECT 'new' AS a",
        )
    assert house.rows("theirs.report") == [(5,)]
    assert run("SELECT to_regclass('marts.other')") == [(None,)]


def test_a_view_of_somebody_else_on_a_view_that_changes(house, run):
    house.build([node("v", "view")], "CREATE VIEW marts__sluice.v AS SELECT 1 AS a")
    run("CREATE VIEW public.report AS SELECT a FROM marts.v")
    with pytest.raises(PublishError, match=r"public\.report"):
        house.build([node("v", "view")], "CREATE VIEW marts__sluice.v AS SELECT 'x'::text AS c")
    assert house.rows("public.report") == [(1,)]


def test_kinds_change(house):
    table, view = node("x"), node("x", "view")
    house.build([view], "CREATE VIEW marts__sluice.x AS SELECT 1 AS a")
    house.build([table], "CREATE TABLE marts__sluice.x AS SELECT 2 AS a")
    assert (house.kind("marts.x"), house.rows("marts.x")) == ("r", [(2,)])
    house.build([view], "CREATE VIEW marts__sluice.x AS SELECT 3 AS a")
    assert (house.kind("marts.x"), house.rows("marts.x")) == ("v", [(3,)])
    house.build([view], "CREATE MATERIALIZED VIEW marts__sluice.x AS SELECT 4 AS a")
    assert (house.kind("marts.x"), house.rows("marts.x")) == ("m", [(4,)])
    house.build([table], "CREATE TABLE marts__sluice.x AS SELECT 5 AS a")
    assert (house.kind("marts.x"), house.rows("marts.x")) == ("r", [(5,)])


def test_a_materialized_view_on_a_table_of_the_build_keeps_its_indexes_and_comments(house, run):
    nodes = [node("t"), node("m", "materialized_view", "t"), node("v", "view", "m")]
    made = (
        T,
        """
        CREATE MATERIALIZED VIEW marts__sluice.m AS SELECT a FROM marts__sluice.t;
        CREATE INDEX by_a ON marts__sluice.m (a); COMMENT ON MATERIALIZED VIEW marts__sluice.m IS 'so';
        COMMENT ON COLUMN marts__sluice.m.a IS 'a''s'
        """,
        "CREATE VIEW marts__sluice.v AS SELECT a FROM marts__sluice.m; COMMENT ON VIEW marts__sluice.v IS 'a view'",
    )
    house.build(nodes, *made)
    house.build(nodes, T.replace("1 AS", "7 AS"), *made[1:])
    assert house.rows("marts.v") == [(7,)]
    assert run("SELECT indexname FROM pg_indexes WHERE schemaname = 'marts'") == [("by_a",)]
    said = "SELECT obj_description('marts.m'::regclass), col_description('marts.m'::regclass, 1), obj_description('marts.v'::regclass)"
    assert run(said) == [("so", "a's", "a view")]


@pytest.fixture
def roles(run):
    names = ["reader_x", 'Reader "Y"']
    for name in names:
        run(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
    yield names
    for name in names:
        run(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
        run(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_who_may_read(house, run, roles):
    may = "SELECT has_table_privilege(%s, %s, 'SELECT')"
    nodes = [node("t"), node("v", "view"), node("i", "incremental")]
    made = [
        T,
        "CREATE VIEW marts__sluice.v AS SELECT 1 AS a",
        "CREATE TABLE IF NOT EXISTS marts__sluice.i AS SELECT 1 AS a",
    ]
    grants = [f"GRANT SELECT ON marts__sluice.{name} TO reader_x" for name in "tvi"]
    house.build(nodes, *made)
    house.build(nodes, *made, *grants)
    assert [run(may, ["reader_x", f"marts.{name}"]) for name in "tvi"] == [[(True,)]] * 3
    # Not said in the project: what a person granted on what is only changed stays.
    run('GRANT SELECT ON marts.i TO "Reader ""Y"""')
    house.build(nodes, *made)
    assert run(may, ['Reader "Y"', "marts.i"]) == run(may, ["reader_x", "marts.i"]) == [(True,)]
    # Said in the project: nobody else may.
    house.build([node("i", "incremental", grants=True)], made[2], grants[2])
    assert run(may, ['Reader "Y"', "marts.i"]) == [(False,)]
    assert run(may, ["reader_x", "marts.i"]) == [(True,)]


def test_what_a_schema_grants_of_itself(house, run, roles):
    run('CREATE SCHEMA marts; ALTER DEFAULT PRIVILEGES IN SCHEMA marts GRANT SELECT ON TABLES TO "Reader ""Y"""')
    nodes = [node("t"), node("v", "view")]
    house.build(nodes, T, "CREATE VIEW marts__sluice.v AS SELECT 1 AS a")
    house.build(nodes, T, "CREATE VIEW marts__sluice.v AS SELECT 1 AS a")
    for name in ("marts.t", "marts.v"):
        assert run("SELECT has_table_privilege(%s, %s, 'SELECT')", ['Reader "Y"', name]) == [(True,)]


AWKWARD = """
    CREATE TABLE {} (k int, n double precision, j json, t text, at timestamptz, a int[]);
    INSERT INTO {} VALUES
        (1, 'NaN', '{{"a": 1}}', NULL, '2024-11-03 05:30+00', '{{1,NULL}}'), (1, 'NaN', '{{"a": 1}}', NULL, '2024-11-03 05:30+00', '{{1,NULL}}'),
        (2, 'NaN', '{{"a":1}}', '', '2024-11-03 06:30+00', NULL), (3, 0.1, NULL, 'NULL', NULL, '{{}}'),
        (NULL, '-Infinity', 'null', '(,"', NULL, NULL), (NULL, NULL, NULL, NULL, NULL, NULL)
"""


def test_a_merge_changes_the_rows_that_differ_and_no_other(house, run):
    run("CREATE SCHEMA marts; " + AWKWARD.format("marts.i", "marts.i"))
    before = dict(run("SELECT ctid::text, i::text FROM marts.i AS i"))
    found = house.build(
        [node("i", "incremental")],
        # One of two equal rows goes, one of one becomes three, an empty text becomes null, one row is new.
        """
        DELETE FROM marts__sluice.i WHERE ctid = (SELECT min(ctid) FROM marts__sluice.i WHERE k = 1);
        INSERT INTO marts__sluice.i SELECT i.* FROM marts__sluice.i AS i, generate_series(1, 2) WHERE k = 3;
        UPDATE marts__sluice.i SET t = NULL WHERE k = 2;
        INSERT INTO marts__sluice.i (k, n) VALUES (9, '1e308')
        """,
    )
    assert found["model.x.i"].changed == 1 + 2 + 2 + 1
    assert found["model.x.i"].rows == 8
    text = "SELECT i::text FROM {} AS i ORDER BY 1"
    assert run(text.format("marts.i")) == run(text.format("marts__sluice.i"))
    kept = dict(run("SELECT ctid::text, i::text FROM marts.i AS i")).items() & before.items()
    assert len(kept) == 4


def test_a_merge_of_nothing_changes_nothing(house, run):
    run("CREATE SCHEMA marts; " + AWKWARD.format("marts.i", "marts.i"))
    before = run("SELECT ctid, xmin, i::text FROM marts.i AS i")
    assert house.build([node("i", "incremental")])["model.x.i"].changed == 0
    assert run("SELECT ctid, xmin, i::text FROM marts.i AS i") == before


def test_identity_and_generated_columns(house, run):
    run(
        "CREATE SCHEMA marts; CREATE TABLE marts.i (id bigint GENERATED ALWAYS AS IDENTITY, k int,"
        " twice int GENERATED ALWAYS AS (k * 2) STORED); INSERT INTO marts.i (k) VALUES (1), (2)"
    )
    found = house.build(
        [node("i", "incremental")],
        "DELETE FROM marts__sluice.i WHERE k = 1; INSERT INTO marts__sluice.i (k) VALUES (3)",
    )
    assert found["model.x.i"].changed == 2
    assert house.rows("marts.i") == [(2, 2, 4), (3, 3, 6)]


def test_a_column_is_added(house, run):
    run("CREATE SCHEMA marts; CREATE TABLE marts.i AS SELECT 1 AS k; CREATE VIEW public.mine AS SELECT k FROM marts.i")
    house.build(
        [node("i", "incremental")],
        "ALTER TABLE marts__sluice.i ADD COLUMN more numeric(10, 2); INSERT INTO marts__sluice.i VALUES (2, 1.5)",
    )
    assert [(k, str(more)) for k, more in house.rows("marts.i")] == [(1, "None"), (2, "1.50")]
    assert house.rows("public.mine") == [(1,), (2,)]


def test_columns_that_go_take_the_table_with_them_unless_somebody_reads_it(house, run):
    run("CREATE SCHEMA marts; CREATE TABLE marts.i AS SELECT 1 AS k, 2 AS gone")
    drop = "ALTER TABLE marts__sluice.i DROP COLUMN gone"
    house.build([node("i", "incremental")], drop)
    assert house.rows("marts.i") == [(1,)]
    run("ALTER TABLE marts.i ADD COLUMN gone int; CREATE VIEW public.mine AS SELECT k FROM marts.i")
    with pytest.raises(PublishError, match="gone"):
        house.build([node("i", "incremental")], drop)
    assert house.rows("marts.i") == [(1, None)]


DAYS = "CREATE SCHEMA marts; CREATE TABLE marts.i AS SELECT date '2024-03-01' + g AS day, g AS n FROM generate_series(0, 5) AS g"


def test_a_sliced_merge_sees_and_touches_only_its_partitions(house, run):
    run(DAYS)
    before = run("SELECT ctid, day FROM marts.i WHERE day <> '2024-03-03' ORDER BY day")
    sliced = node("i", "incremental", column="day")
    found = house.build(
        [sliced],
        "UPDATE marts__sluice.i SET n = n + 100; INSERT INTO marts__sluice.i VALUES ('2024-03-03', 7)",
        part=THIRD,
    )
    assert (found["model.x.i"].built, found["model.x.i"].changed, found["model.x.i"].rows) == (2, 3, 7)
    assert house.outside == {"i": 0}
    assert run("SELECT n FROM marts.i WHERE day = '2024-03-03' ORDER BY 1") == [(7,), (102,)]
    assert run("SELECT ctid, day FROM marts.i WHERE day <> '2024-03-03' ORDER BY day") == before
    house.build([sliced], "INSERT INTO marts__sluice.i VALUES ('2024-03-04', 1), (NULL, 1)", part=THIRD, only=[])
    assert house.outside == {"i": 2}


def test_a_first_build_of_some_partitions_is_taken_as_it_is(house):
    sliced = node("i", "incremental", column="day")
    house.build([sliced], DAYS.partition(";")[2].replace("marts.", "marts__sluice."), part=THIRD)
    assert house.outside == {"i": 0}
    assert len(house.rows("marts.i")) == 6


def test_a_full_refresh_replaces_all(house, run):
    run(DAYS)
    sliced = node("i", "incremental", column="day")
    house.build([sliced], "CREATE TABLE marts__sluice.i AS SELECT 1 AS a", part=THIRD, full_refresh=True)
    assert house.rows("marts.i") == [(1,)]


def test_a_partition_column_that_is_not_there(house, run):
    run(DAYS)
    with pytest.raises(SettingError, match="has no column 'nope'"):
        house.build([node("i", "incremental", column="nope")], part=THIRD)


def test_a_native_partitioned_table_is_merged(house, run):
    run(
        "CREATE SCHEMA marts; CREATE TABLE marts.i (k int, n int) PARTITION BY LIST (k);"
        "CREATE TABLE marts.i1 PARTITION OF marts.i FOR VALUES IN (1);"
        "CREATE TABLE marts.i2 PARTITION OF marts.i FOR VALUES IN (2); INSERT INTO marts.i VALUES (1, 1), (2, 1)"
    )
    house.build([node("i", "incremental")], "UPDATE marts__sluice.i SET n = 9 WHERE k = 2")
    assert house.rows("marts.i") == [(1, 1), (2, 9)]
    assert house.kind("marts.i") == "p"


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_names_that_need_quoting(house, run, name):
    schema = name if len(name.encode()) < 56 else "marts"
    words = {"s": sql.Identifier(schema), "n": sql.Identifier(name)}
    made = "CREATE SCHEMA {s}; CREATE TABLE {s}.{n} ({n} date, x int); INSERT INTO {s}.{n} VALUES ('2024-03-03', 1)"
    run(sql.SQL(made).format(**words))
    nodes = [node(name, "incremental", schema=schema, column=name), node("w", "view", name, schema=schema)]
    words["s"] = sql.Identifier(f"{schema}__sluice")
    house.build(
        nodes,
        sql.SQL("UPDATE {s}.{n} SET x = 2").format(**words),
        sql.SQL("CREATE VIEW {s}.w AS SELECT {n}, x FROM {s}.{n}").format(**words),
        part=THIRD,
    )
    run(sql.SQL("DROP SCHEMA {} CASCADE").format(words["s"]))
    assert run(sql.SQL("SELECT x FROM {}.w").format(sql.Identifier(schema))) == [(2,)]


def test_a_schema_whose_name_ends_like_another(house, run):
    nodes = [node("t"), node("u", schema="core_marts"), node("v", "view", "t", "u")]
    house.build(
        nodes,
        T,
        "CREATE TABLE core_marts__sluice.u AS SELECT 3 AS c",
        "CREATE VIEW marts__sluice.v AS SELECT a, c FROM marts__sluice.t, core_marts__sluice.u",
    )
    assert house.rows("marts.v") == [(1, 3)]


def test_a_view_that_names_what_is_only_being_built(house):
    house.build([node("t"), node("u")], T, "CREATE TABLE marts__sluice.u AS SELECT 1 AS a")
    # u is not published: v would end with the staging schema.
    with pytest.raises(PublishError):
        house.build(
            [node("u"), node("v", "view", schema="other")],
            "CREATE TABLE marts__sluice.u AS SELECT 1 AS a; CREATE FUNCTION marts__sluice.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE VIEW other__sluice.v AS SELECT a, marts__sluice.f() FROM marts__sluice.u",
            only=["v"],
        )


def test_all_of_a_build_is_published_at_once(house, database_url):
    nodes = [node("t"), node("i", "incremental"), node("v", "view", "t")]

    def made(number):
        return (
            f"CREATE TABLE marts__sluice.t AS SELECT {number} AS n",
            f"CREATE TABLE IF NOT EXISTS marts__sluice.i (n int); TRUNCATE marts__sluice.i; INSERT INTO marts__sluice.i VALUES ({number})",
            "CREATE VIEW marts__sluice.v AS SELECT n FROM marts__sluice.t",
        )

    house.build(nodes, *made(0))
    done, seen, began = threading.Event(), [], threading.Event()

    def read():
        with psycopg.connect(database_url, autocommit=True) as session:
            while not done.is_set():
                found = session.execute("SELECT t.n, i.n, v.n FROM marts.t, marts.i, marts.v").fetchall()
                seen.append(found)
                began.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert began.wait(60)
        for number in range(1, 11):
            house.build(nodes, *made(number))
    finally:
        done.set()
        reader.join()
    assert all(len(found) == 1 and len(set(found[0])) == 1 for found in seen), [f for f in seen if len(set(f[0])) > 1]


def test_who_uses_a_table_for_too_long_stops_the_publish_and_nothing_has_changed(house, database_url):
    nodes = [node("a"), node("t")]
    house.build(nodes, T, "CREATE TABLE marts__sluice.a AS SELECT 1 AS n")
    with ExitStack() as stack:
        session = stack.enter_context(psycopg.connect(database_url))
        session.execute("SELECT * FROM marts.a")
        with pytest.raises(PublishError, match="Another transaction stood in the way"):
            house.build(
                nodes, T.replace("1 AS", "2 AS"), "CREATE TABLE marts__sluice.a AS SELECT 2 AS n", lock_timeout=0.1
            )
    assert house.rows("marts.a") == [(1,)]
    assert house.rows("marts.t") == [(1, "x")]


def test_a_schema_of_somebody_else_is_left_alone(house, run):
    run("CREATE SCHEMA marts__sluice; CREATE TABLE marts__sluice.theirs AS SELECT 1 AS a")
    with pytest.raises(SettingError, match="marts__sluice"):
        house.build([node("t")], T)
    assert house.rows("marts__sluice.theirs") == [(1,)]


def test_builds_for_one_schema_take_turns_and_others_do_not_wait(database_url, run):
    told = []

    def second():
        with build_turn(database_url, {"other", "marts"}):
            told.append("second")

    waiting = threading.Thread(target=second)
    with build_turn(database_url, {"marts"}):
        waiting.start()
        with build_turn(database_url, {"third"}):
            told.append("third")
        while not run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")[0][0]:
            assert waiting.is_alive()
        told.append("first")
    waiting.join()
    assert told == ["third", "first", "second"]


def test_foreign_keys_on_a_mart_are_not_taken_away(house, run):
    house.build([node("t")], T)
    run("ALTER TABLE marts.t ADD PRIMARY KEY (a); CREATE TABLE public.theirs (a int REFERENCES marts.t)")
    with pytest.raises(PublishError, match="theirs"):
        house.build([node("t")], "CREATE TABLE marts__sluice.t AS SELECT 5 AS a, 'x'::text AS b")
    assert house.rows("marts.t") == [(1, "x")]
