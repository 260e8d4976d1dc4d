"""What ``slaProperties`` of a contract say of deadlines, and what is said of mistakes in them."""

import datetime as dt
import pickle
import textwrap

import pytest

from dagster_sluice.calendars import Calendar
from dagster_sluice.contracts import load_contract, load_contracts
from dagster_sluice.contracts.deadlines import Deadline, Exceptional, Recency, read_due, zone_named
from dagster_sluice.errors import ContractError, SettingError

HEADER = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - {name: id, logicalType: integer}
      - {name: ordered_at, physicalName: ordered, logicalType: timestamp}
"""
SECOND = """\
  - name: lines
    properties:
      - {name: id, logicalType: integer}
"""


@pytest.fixture
def write(tmp_path):
    def write(text, *, header=HEADER):
        path = tmp_path / "orders.odcs.yaml"
        path.write_text(header + textwrap.dedent(text), encoding="utf-8")
        return path

    return write


def test_a_contract_without_any_has_none(write):
    contract = load_contract(write(""))
    assert (contract.deadlines, contract.recency) == ((), ())


def test_what_belongs_to_others_is_left_alone(write):
    contract = load_contract(
        write("""
            slaProperties:
              - {property: generalAvailability, value: "2022-05-12T09:30:10-08:00"}
              - {property: retention, value: 3, unit: y, element: elsewhere.at}
              - {property: frequency, value: 1, valueExt: 1, unit: d}
              - {property: ourOwnWord, value: whatever, unit: parsec}
        """)
    )
    assert (contract.deadlines, contract.recency) == ((), ())


def test_the_example_of_the_standard_can_be_read(write):
    contract = load_contract(
        write("""
            slaDefaultElement: orders.ordered_at
            slaProperties:
              - {property: latency, value: 4, unit: d, scheduler: cron, schedule: 0 30 * * *, id: latency_4_days}
              - {property: timeOfAvailability, value: 09:00-08:00, driver: regulatory}
              - {property: timeOfAvailability, value: 08:00-08:00, driver: analytics}
        """)
    )
    assert contract.recency == (Recency(column="ordered", within=dt.timedelta(days=4), name="latency_4_days"),)
    assert [(one.due, one.timezone, one.driver, one.name) for one in contract.deadlines] == [
        ("09:00", "-08:00", "regulatory", "regulatory"),
        ("08:00", "-08:00", "analytics", "analytics"),
    ]


def test_everything_there_is(write):
    contract = load_contract(
        write("""
            slaProperties:
              - property: deadline
                value: 06:00 on the next business day
                id: nightly
                driver: operational
                description: The desk opens at seven.
                customProperties:
                  - {property: timezone, value: Europe/Vienna}
                  - {property: grace, value: 15 min}
                  - {property: calendar, value: {country: AT, closed: [2026-12-24]}}
                  - {property: businessDaysOnly, value: true}
                  - {property: lookBack, value: 60}
                  - {property: since, value: 2026-03-01}
                  - {property: sourceRetention, value: 90 days}
                  - {property: within, value: 6 hours}
                  - {property: flavour, value: sour, vendor: other}
                  - property: exceptions
                    value:
                      - {when: month end, due: 12:00 on the 2nd business day, grace: 1 h}
                      - {partitions: [2026-03-08], due: null}
                      - {when: [monday, friday], due: 16:30}
        """)
    )
    assert contract.deadlines == (
        Deadline(
            "06:00 on the next business day",
            timezone="Europe/Vienna",
            grace=dt.timedelta(minutes=15),
            calendar=Calendar(country="AT", closed=frozenset({dt.date(2026, 12, 24)})),
            business_days_only=True,
            look_back=60,
            since=dt.date(2026, 3, 1),
            retention=dt.timedelta(days=90),
            within=dt.timedelta(hours=6),
            exceptions=[
                Exceptional("12:00 on the 2nd business day", "month end", grace=dt.timedelta(hours=1)),
                Exceptional(None, partitions=["2026-03-08"]),
                Exceptional("16:30", ["monday", "friday"]),
            ],
            name="nightly",
            driver="operational",
            description="The desk opens at seven.",
        ),
    )


@pytest.mark.parametrize(
    ("entry", "due"),
    [
        ("{property: timeOfAvailability, value: 16:30}", "16:30"),
        ("{property: timeOfAvailability, value: 06:30}", "06:30"),
        ("{property: deadline, value: cron, scheduler: cron, schedule: 0 6 * * 1-5}", "0 6 * * 1-5"),
        ("{property: deadline, value: '@daily'}", "@daily"),
        ("{property: latency, value: 2, unit: h}", "2 h after the end"),
        ("{property: latency, value: 2 h, unit: h}", "2 h after the end"),
        ("{property: latency, value: 1.5 days}", "1.5 days after the end"),
        ("{property: latency, value: 4, unit: days}", "4 days after the end"),
    ],
)
def test_forms(write, entry, due):
    (found,) = load_contract(write(f"slaProperties:\n  - {entry}\n")).deadlines
    assert found.due == due


@pytest.mark.parametrize(
    ("place", "calendar"), [("DE-BY", Calendar(country="DE", subdivision="BY")), ("XNYS", Calendar(market="XNYS"))]
)
def test_a_calendar_is_named_by_its_place(write, place, calendar):
    text = f"slaProperties:\n  - property: deadline\n    value: '06:00'\n    customProperties: [{{property: calendar, value: {place}}}]\n"
    (found,) = load_contract(write(text)).deadlines
    assert found.calendar == calendar


def test_of_several_tables_the_element_says_which(write):
    path = write(
        """
        slaProperties:
          - {property: deadline, value: '06:00', element: lines}
          - {property: deadline, value: '07:00'}
          - {property: freshness, value: 2, unit: h, element: orders.ordered}
        """,
        header=HEADER + SECOND,
    )
    orders, lines = load_contracts(path)
    assert [one.due for one in orders.deadlines] == ["07:00"]
    assert [one.due for one in lines.deadlines] == ["06:00", "07:00"]
    assert (len(orders.recency), len(lines.recency)) == (1, 0)


@pytest.mark.parametrize(
    ("entry", "line", "says"),
    [
        ("{property: timeOfAvailability, value: early}", 12, "`early` is no deadline that can be read"),
        ("{property: timeOfAvailability, value: true}", 12, "is no deadline"),
        ("{property: deadline, value: 25:00}", 12, "is no deadline"),
        ("{property: deadline, value: 06:61}", 12, "no time of day"),
        ("{property: deadline, value: x, schedule: 0 6 31 2 *}", 12, "never comes"),
        ("{property: latency, value: 3, unit: parsec}", 12, "no length of time"),
        ("{property: latency, value: null}", 12, "no length of time"),
        ("{property: latency, value: 3, unit: d, element: orders.orderd}", 12, "orderd"),
        ("{property: freshness, value: 3, unit: d}", 12, "of no column"),
        ("{property: deadline, value: '06:00', customProperties: [{property: timezone, value: Mars}]}", 12, "no time zone"),
        ("{property: deadline, value: '06:00', customProperties: [{property: grace, value: soon}]}", 12, "length of time"),
        ("{property: deadline, value: '06:00', customProperties: [{property: lookback, value: 3}]}", 12, "Did you mean `lookBack`"),
        ("{property: deadline, value: '06:00', customProperties: [{property: lookBack, value: none}]}", 12, "whole number"),
        ("{property: deadline, value: '06:00', customProperties: [{property: lookBack, value: 0}]}", 12, "number of partitions"),
        ("{property: deadline, value: '06:00', customProperties: [{property: since, value: soon}]}", 12, "no date"),
        ("{property: deadline, value: '06:00', customProperties: [{property: calendar, value: QQ}]}", 12, "QQ"),
        ("{property: deadline, value: '06:00', customProperties: [{property: calendar, value: {land: AT}}]}", 12, "Unknown key `land`"),
        ("{property: deadline, value: '06:00', customProperties: [{property: businessDaysOnly, value: often}]}", 12, "true or false"),
        ("{property: deadline, value: '06:00', customProperties: [{property: exceptions, value: {due: x}}]}", 12, "must be a list"),
        ("{property: deadline, value: '06:00', customProperties: [{property: exceptions, value: [{when: monday}]}]}", 12, "`due` is missing"),
        ("{property: deadline, value: '06:00', customProperties: [{property: exceptions, value: [{when: moonday, due: null}]}]}", 12, "moonday"),
        ("{property: deadline, value: '06:00', customProperties: [{property: exceptions, value: [{due: null}]}]}", 12, "neither days"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(write, entry, line, says):
    with pytest.raises(ContractError) as caught:
        load_contract(write(f"slaProperties:\n  - {entry}\n"))
    (culprit,) = caught.value.culprits
    assert culprit.line == line
    assert says in str(culprit)


def test_all_mistakes_are_told_at_once(write):
    with pytest.raises(ContractError) as caught:
        load_contract(
            write("""
                slaProperties:
                  - {property: deadline, value: early}
                  - {property: latency, value: 3, unit: parsec}
            """)
        )
    assert [culprit.line for culprit in caught.value.culprits] == [13, 14]


def test_a_deadline_in_python_tells_all_its_mistakes():
    with pytest.raises(SettingError) as caught:
        Deadline(
            "soon",
            timezone="Nowhere",
            grace=dt.timedelta(days=-1),
            look_back=0,
            since=dt.datetime(2026, 3, 1, tzinfo=dt.timezone.utc),
            exceptions=[Exceptional("never", "someday"), Exceptional(None), Exceptional(None, "holiday")],
        )
    told = str(caught.value)
    for part in ("soon", "Nowhere", "grace", "look_back", "since", "never", "someday", "neither days", "no calendar"):
        assert part in told
    assert "06:00 on the next business day" in told


def test_a_recency_must_be_some_time():
    with pytest.raises(SettingError, match="within"):
        Recency(column="at", within=dt.timedelta())


@pytest.mark.parametrize(
    ("text", "days", "rest"),
    [("1 day", 1, 0), ("2 weeks", 14, 0), ("24 h", 0, 86_400), ("86400 second", 0, 86_400), ("1.5 d", 0, 129_600)],
)
def test_days_are_on_the_wall_and_hours_pass(text, days, rest):
    due = read_due(f"{text} after the end")
    assert (due.days, due.rest.total_seconds()) == (days, rest)


def test_values_pickle_and_compare():
    deadline = Deadline("0 6 * * *", calendar=Calendar(weekend=["sunday"]), exceptions=[Exceptional(None, "sunday")])
    assert pickle.loads(pickle.dumps(deadline)) == deadline
    assert len({deadline, pickle.loads(pickle.dumps(deadline))}) == 1


def test_deadlines_make_no_data_stale(write):
    plain = load_contract(write(""))
    promised = load_contract(write("slaProperties: [{property: deadline, value: '06:00'}]"))
    assert promised.deadlines
    assert promised.fingerprint == plain.fingerprint


@pytest.mark.parametrize("name", ["+25:00", "-01:75", "Mars/Olympus", "../etc/passwd", ""])
def test_what_is_no_zone(name):
    assert zone_named(name) is None
