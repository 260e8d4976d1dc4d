"""A relation in another schema, as dbt writes it."""

import pytest

from dagster_sluice.dbt.runner import _moved


@pytest.mark.parametrize(
    ("relation", "schema", "alias", "wanted"),
    [
        ('"db"."marts"."t"', "marts", "t", '"db"."new"."t"'),
        ('"marts"."marts"."marts"', "marts", "marts", '"marts"."new"."marts"'),
        ('"db".marts.t', "marts", "t", '"db"."new".t'),
        ('"db"."a.b"."c.d"', "a.b", "c.d", '"db"."new"."c.d"'),
        ('"db"."say ""hi"""."t"', 'say "hi"', "t", '"db"."new"."t"'),
        ("something else", "marts", "t", "something else"),
    ],
)
def test_only_the_schema_changes(relation, schema, alias, wanted):
    assert _moved(relation, schema, "new", alias) == wanted
