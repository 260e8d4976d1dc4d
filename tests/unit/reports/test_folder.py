"""Where reports are kept."""

import os
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_sluice.reports.folder import Folder, file_name
from dagster_sluice.warehouse import Address

ORDERS = Address(schema="shop", table="orders")


@settings(deadline=None)
@given(st.text(), st.text())
def test_each_text_has_a_name_of_its_own_on_every_file_system(one, another):
    for text in (one, another):
        name = file_name(text)
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)
        assert not name.endswith(".")
        assert len(name) <= 80
    if one != another:
        assert file_name(one).lower() != file_name(another).lower()


def test_plain_keys_keep_their_names():
    for key in ("2026-03-09", "2026-03-09-13.00", "eu_west", "1"):
        assert file_name(key) == key
    for key in ("../../etc", "US", "us|2026", "", ".", "..", "con:", "é" * 300):
        assert file_name(key) != key


def test_each_table_and_partition_has_its_place(tmp_path):
    folder = Folder(root=tmp_path)
    assert folder.path(ORDERS, "2026-03-09", "run") == tmp_path / "shop.orders" / "2026-03-09" / "run.html"
    assert folder.path(ORDERS, None, "run").parent.name != folder.path(ORDERS, "_whole", "run").parent.name
    assert folder.path(ORDERS, "_runs", "run") != folder.index_path(ORDERS, "run")
    outside = Folder(root=tmp_path / "a").path(Address(schema="..", table="../../x"), "../..", "../r")
    assert outside.resolve().is_relative_to(tmp_path / "a")


def test_the_latest_are_kept_and_the_present_one_always(tmp_path):
    folder = Folder(root=tmp_path, keep=3)
    for number in range(6):
        path = folder.write(folder.path(ORDERS, "day", f"run{number}"), "<p/>")
        os.utime(path, (1000 + number, 1000 + number))
    folder.write(folder.path(ORDERS, "other", "run"), "<p/>")
    assert sorted(page.name for page in (tmp_path / "shop.orders" / "day").iterdir()) == [
        "run3.html",
        "run4.html",
        "run5.html",
    ]
    os.utime(path, (9000, 9000))
    folder.write(folder.path(ORDERS, "day", "late"), "<p/>")
    assert (tmp_path / "shop.orders" / "day" / "late.html").exists()
    for keep in (0, 1):
        written = Folder(root=tmp_path, keep=keep).write(folder.path(ORDERS, "day", f"keep{keep}"), "<p/>")
        assert [written] == list(written.parent.iterdir())


def test_a_page_is_replaced_whole(tmp_path):
    folder = Folder(root=tmp_path)
    path = folder.path(ORDERS, "day", "run")
    folder.write(path, "<p>one</p>")
    folder.write(path, "<p>two</p>")
    assert path.read_text() == "<p>two</p>"
    assert list(path.parent.iterdir()) == [path]
