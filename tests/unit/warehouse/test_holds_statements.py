"""What the SQL of holds shares with that of publishes."""

import re

from dagster_sluice.warehouse.statements import statements


def test_holds_and_publishes_take_turns_through_one_lock():
    """The lock is told twice, once by names of columns and once by parameters; it must be the same number."""
    publish, hold = (statements("postgres", file)["lock"] for file in ("publish", "holds"))
    named = re.search(r"hashtextextended\(.*?\), 0\)", publish, re.DOTALL)
    bound = re.search(r"hashtextextended\(.*?\), 0\)", hold, re.DOTALL)
    assert named
    assert bound
    columns = {"$1::text": "table_schema", "$2::text": "table_name", "$3::text": "partition"}
    assert re.sub(r"\$\d::text", lambda found: columns[found[0]], bound[0]) == named[0]
