"""No record is left out, however late it appears; and what is kept stays small."""

from hypothesis import given
from hypothesis import strategies as st

from dagster_sluice.lineage.openlineage.position import SETTLE, Position

NOW = 1_000_000.0


def test_what_was_written_is_read_again() -> None:
    position = Position(low=3, done=frozenset({5, 9}), marks=((1.5, 9),), failures=2, wait_until=7.0, refused=(4,))
    assert Position.read(position.written()) == position


def test_a_record_that_appears_late_is_still_to_be_told() -> None:
    position = Position(low=10).told([12]).settled(NOW, 12, reached=12)
    assert position.low == 10
    assert not position.is_done(11)
    assert position.is_done(12)
    later = position.settled(NOW + SETTLE, 12, reached=12)
    assert later.low == 12
    assert not later.done


def test_what_could_not_be_told_is_never_passed() -> None:
    position = Position(low=10).told([12]).settled(NOW, 90, reached=12)
    for step in range(1, 50):
        position = position.settled(NOW + step * 30, 90 + step, reached=12)
    assert position.low == 12
    assert not position.is_done(13)


def test_it_waits_longer_each_time_and_forgets_once_it_goes_on() -> None:
    position = Position(low=0)
    waits = []
    for _ in range(8):
        position = position.failed(NOW)
        waits.append(position.wait_until - NOW)
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]
    on = position.told([1])
    assert (on.failures, on.wait_until) == (0, 0)
    assert position.told([]).failures == 8


def test_what_is_refused_for_good_is_noted_and_done() -> None:
    position = Position(low=0).failed(NOW).passed_over(7)
    assert position.refused == (7,)
    assert position.is_done(7)
    for number in range(8, 300):
        position = position.passed_over(number)
    assert len(position.refused) == 100


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=40),
    st.lists(st.integers(1, 40), min_size=1, max_size=40),
)
def test_whoever_is_late_by_less_than_that_is_told_exactly_once(delays, pauses) -> None:
    """Record n is numbered at second n and appears ``delays[n]`` seconds later."""
    appears = {number: number + delay for number, delay in enumerate(delays, 1)}
    position = Position(low=0)
    told: list[int] = []
    now = 0.0
    for pause in [*pauses, *[40] * 5]:
        now += pause
        seen = [number for number in appears if appears[number] <= now]
        newest = max((number for number in appears if number <= now and appears[number] <= now), default=0)
        new = sorted(number for number in seen if number > position.low and not position.is_done(number))
        told += new
        position = Position.read(position.told(new).settled(now, newest, reached=newest).written())
        assert len(position.marks) < 20
    assert sorted(told) == sorted(appears)
    assert len(set(told)) == len(told)
    assert not position.done
