"""SQLAlchemy as we found it. What rests on it: ``dagster_sluice/cli/instance.py`` and ``embedded.with_driver``.

dagster-postgres needs psycopg2; with psycopg 3 its ``NOTIFY`` is a syntax error. So the driver is always named.
"""

import pytest
import sqlalchemy
from packaging.version import Version

from dagster_sluice.embedded import with_driver

BARE = "postgresql://user@host/db"


def test_a_bare_url_names_psycopg_3_since_2_1():
    driver = sqlalchemy.make_url(BARE).get_dialect()().driver
    assert driver == ("psycopg" if Version(sqlalchemy.__version__) >= Version("2.1") else "psycopg2")


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_the_named_driver_is_the_one_taken(driver):
    assert sqlalchemy.make_url(with_driver(BARE, driver)).get_dialect()().driver == driver
