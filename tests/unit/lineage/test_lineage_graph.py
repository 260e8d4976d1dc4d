"""Walking over columns."""

import pytest

from dagster_sluice.errors import SettingError
from dagster_sluice.lineage.columns import ColumnLineage, ColumnRef, Direction, LineageGraph, Origin, TableEdge


def graph(*lines: str, edges: tuple[str, ...] = (), **columns: str) -> LineageGraph:
    """``"s/b.y <- s/a.x"`` for each column; ``b="x y"`` for the columns of ``s/b``."""

    def ref(text: str) -> ColumnRef:
        return ColumnRef(*text.strip().rsplit(".", 1))

    lineages = {}
    for line in lines:
        target, _, sources = line.partition("<-")
        lineages[ref(target)] = ColumnLineage(
            column=ref(target), sources=frozenset(map(ref, sources.split())), origin=Origin.SQL
        )
    return LineageGraph(
        columns={f"s/{name}": tuple(text.split()) for name, text in columns.items()},
        lineages=lineages,
        edges=frozenset(TableEdge(*edge.split(">")) for edge in edges),
    )


def walked(found: LineageGraph, start: str, way: Direction) -> list[tuple[int, str, str]]:
    return [(hop.depth, str(hop.source), str(hop.target)) for hop in found.walk(found.column(start), way)]


def test_up_and_down_over_two_tables() -> None:
    found = graph("s/b.y <- s/a.x s/a.w", "s/c.z <- s/b.y", a="x w", b="y", c="z")
    assert walked(found, "s.c.z", Direction.UP) == [(1, "s.b.y", "s.c.z"), (2, "s.a.w", "s.b.y"), (2, "s.a.x", "s.b.y")]
    assert walked(found, "s.a.x", Direction.DOWN) == [(1, "s.a.x", "s.b.y"), (2, "s.b.y", "s.c.z")]
    assert walked(found, "s.a.x", Direction.UP) == []


def test_a_circle_ends() -> None:
    found = graph("s/a.x <- s/a.x s/b.y", "s/b.y <- s/a.x", a="x", b="y")
    assert walked(found, "a.x", Direction.UP) == [(1, "s.a.x", "s.a.x"), (1, "s.b.y", "s.a.x"), (2, "s.a.x", "s.b.y")]


def test_a_diamond_tells_each_hop_once() -> None:
    found = graph("s/b.y <- s/a.x", "s/c.y <- s/a.x", "s/d.y <- s/b.y s/c.y", a="x", b="y", c="y", d="y")
    hops = walked(found, "d.y", Direction.UP)
    assert len(hops) == len(set(hops)) == 4


def test_what_a_person_means() -> None:
    found = graph("s/b.y <- s/a.x", "t/b.y <- s/a.x", a="x w", b="y", edges=("raw/file>s/a",))
    assert found.table("s.a") == found.table("s/a") == found.table("a") == "s/a"
    assert found.upstream("s/a") == ("raw/file",)
    assert found.downstream("raw/file") == ("s/a",)
    with pytest.raises(SettingError, match=r"no table 's\.aa'.\nDid you mean s\.a\?"):
        found.table("s.aa")
    with pytest.raises(SettingError, match=r"no column 's.a.xx'"):
        found.column("s.a.xx")
    with pytest.raises(SettingError, match="Name both"):
        found.column("x")
    # A table of which no column is known may have any.
    assert found.column("raw.file.anything") == ColumnRef("raw/file", "anything")


def test_a_bare_name_that_several_have() -> None:
    found = LineageGraph(columns={"s/a": ("x",), "t/a": ("x",)}, lineages={})
    with pytest.raises(SettingError, match="any of 2 tables"):
        found.table("a")
