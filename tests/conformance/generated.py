"""Expectations as hypothesis makes them up, mostly such as fit the columns, sometimes not."""

import contextlib
import datetime as dt

import pyarrow as pa
from hypothesis import strategies as st

from dagster_sluice.contracts.catalogue import CATALOGUE

from .generated_frames import DATES, FLOATS, HUGE, MOMENTS, SMALL, TEXTS, frames

REGEXES = (
    "a", "^a", "b$", "^[a-z]+$", "^[A-Za-z0-9]{2,}$", r"\d", r"^\w+$", r"\s", ".", "^$", "", "a|b", "(?:ab)+c?", "[^a]",
    r"\d{4}-\d{2}-\d{2}", r"\bab?\b", "(?=a)", "é", r"a\.b", "a{,2}", "(a)b", "[[:alpha:]]", "(?i)A", "x*", "^.{2}$", "{", "a++",
)  # fmt: skip


NUMBERS = st.one_of(st.sampled_from(SMALL), st.sampled_from(FLOATS), st.sampled_from(HUGE))
BOUNDS = st.one_of(
    NUMBERS,
    NUMBERS,
    st.sampled_from(MOMENTS),
    st.sampled_from(DATES),
    st.sampled_from(["2024-01-01", "2024-01-01T12:00:00"]),
)
UNKNOWN = ("Timestamp", "DatetimeTZDtype", "StringDtype", "list", "nonsense", "long", "Int64Dtype")
TYPES = (
    "int64",
    "int",
    "float64",
    "float",
    "str",
    "string",
    "bool",
    "datetime64[ns]",
    "datetime64[us]",
    "datetime64",
    "object",
    "Int64",
    "category",
    *UNKNOWN,
)
MOSTLY = st.sampled_from(
    [{}, {}, {"mostly": 1}, {"mostly": 0.5}, {"mostly": 0.75}, {"mostly": 0.3333333333333333}, {"mostly": 0}]
)
VALUES = st.one_of(
    st.lists(st.sampled_from(TEXTS), max_size=5),
    st.lists(st.one_of(st.sampled_from(SMALL), st.sampled_from(FLOATS), st.sampled_from(HUGE)), max_size=5),
    st.lists(st.sampled_from([True, False, 1, "a", None, 2.5, *DATES]), max_size=5),
    st.lists(st.sampled_from(DATES), max_size=3),
    st.just([*range(-40, 60)]),
    st.just([*TEXTS, *map(str, range(100))]),
)
FLAG = st.booleans()


def _family(column):
    """What kind of arguments fits a column."""
    kind = str(column.type if isinstance(column, pa.ChunkedArray) else column.dtype)
    if kind.startswith(("datetime64", "timestamp")):
        return "moment"
    if kind.lower().startswith(("int", "uint", "float", "double")):
        return "number"
    values = {type(value) for value in (column.to_pylist() if isinstance(column, pa.ChunkedArray) else column)}
    if dt.date in values:
        return "date"
    return "text" if str in values else "other"


class Names(list):
    """The columns of a frame, and which of them are of a family."""

    def __init__(self, frame):
        super().__init__(frame.column_names if isinstance(frame, pa.Table) else frame.columns)
        self.family = {
            name: _family(frame.column(name) if isinstance(frame, pa.Table) else frame[name]) for name in self
        }

    def of(self, draw, *families):
        """Mostly a column of one of these families, sometimes any."""
        fitting = [name for name in self if self.family[name] in families]
        return draw(st.sampled_from(fitting if fitting and draw(st.integers(0, 9)) else self))


@st.composite
def expectations(draw, names):
    """One expectation on some of these columns, with arguments that Great Expectations accepts."""
    kind = draw(st.sampled_from(sorted(MAKERS)))
    kwargs = MAKERS[kind](draw, names)
    if CATALOGUE[kind].conditional and not draw(st.integers(0, 7)):
        kwargs["row_condition"] = draw(_conditions(names))
    return {"type": kind, "kwargs": kwargs}


@st.composite
def _conditions(draw, names):
    """A condition on rows, in the form that contracts have."""

    def one():
        name = names.of(draw, "number", "text")
        column = {"name": name}
        if draw(st.booleans()):
            return {"type": "nullity", "column": column, "is_null": draw(FLAG)}
        pool = TEXTS[:6] if names.family[name] == "text" else SMALL
        operator = draw(st.sampled_from(["==", "!=", "<", ">=", "IN", "NOT_IN"]))
        values = st.sampled_from(pool)
        parameter = draw(st.lists(values, min_size=1, max_size=3) if "IN" in operator else values)
        return {"type": "comparison", "column": column, "operator": operator, "parameter": parameter}

    kind = draw(st.sampled_from([None, None, "and", "or"]))
    return one() if kind is None else {"type": kind, "conditions": [one(), one()]}


def _bounds(draw, values):
    low, high = draw(st.one_of(st.none(), values)), draw(st.one_of(st.none(), values))
    if low is None and high is None:
        low = draw(values)
    return {"min_value": low, "max_value": high}


def _strict(draw):
    return {name: draw(FLAG) for name in draw(st.sets(st.sampled_from(["strict_min", "strict_max"])))}


def _one(draw, names, *families):
    return {"column": names.of(draw, *families)}


def _mostly(draw, names, *families):
    return {**_one(draw, names, *families), **draw(MOSTLY)}


def _two(draw, names):
    left, right = draw(st.sampled_from([(names[0], names[1]), tuple(names[-2:]), (names[1], names[0])]))
    ignored = draw(st.sampled_from([None, "both_values_are_missing", "either_value_is_missing", "neither"]))
    return {"column_A": left, "column_B": right, **({"ignore_row_if": ignored} if ignored else {}), **draw(MOSTLY)}


def _several(draw, names):
    chosen = draw(st.lists(st.sampled_from(names), min_size=2, max_size=3, unique=True))
    ignored = draw(st.sampled_from([None, "all_values_are_missing", "any_value_is_missing", "never"]))
    return {"column_list": chosen, **({"ignore_row_if": ignored} if ignored else {}), **draw(MOSTLY)}


def _statistic(draw, names):
    column = names.of(draw, "number", "moment")
    return {"column": column, **_fitting_bounds(draw, names, column), **_strict(draw)}


def _fitting_bounds(draw, names, column):
    zoned = [moment.replace(tzinfo=dt.timezone.utc) for moment in MOMENTS]
    fitting = {
        "number": NUMBERS,
        "moment": st.one_of(
            st.sampled_from(MOMENTS), st.sampled_from(["2024-01-01", "2024-01-01T12:00:00"]), st.sampled_from(zoned)
        ),
        "date": st.one_of(st.sampled_from(DATES), st.just("2024-01-01")),
    }
    found = _bounds(draw, fitting.get(names.family[column], BOUNDS) if draw(st.integers(0, 9)) else BOUNDS)
    low, high = found["min_value"], found["max_value"]
    if type(low) is type(high) and low is not None and draw(st.integers(0, 9)):
        with contextlib.suppress(TypeError):
            found = {"min_value": min(low, high), "max_value": max(low, high)}
    return found


def _between(draw, names):
    column = names.of(draw, "number", "moment", "date")
    return {"column": column, **_fitting_bounds(draw, names, column), **_strict(draw), **draw(MOSTLY)}


def _set(draw, names, *, empty=True):
    column = names.of(draw, "number", "text", "date")
    fitting = {
        "text": st.one_of(st.lists(st.sampled_from(TEXTS), max_size=5), st.just([*TEXTS[4:], *map(str, range(100))])),
        "number": st.one_of(
            st.lists(st.sampled_from(SMALL), max_size=5),
            st.lists(st.one_of(st.sampled_from(SMALL), st.sampled_from(FLOATS)), max_size=5),
            st.just([*range(-1, 80)]),
            st.just([0.5, *range(-1, 80)]),
        ),
        "date": st.lists(st.sampled_from(DATES), max_size=3),
    }
    values = fitting.get(names.family[column], VALUES) if draw(st.integers(0, 9)) else VALUES
    return {"column": column, "value_set": draw(values if empty else values.filter(bool))}


def _filled_set(draw, names):
    return _set(draw, names, empty=False)


def _regex(draw, names):
    return {**_mostly(draw, names, "text"), "regex": draw(st.sampled_from(REGEXES))}


def _counts(draw):
    return _bounds(draw, st.integers(0, 10))


def _ordered(bounds):
    """Great Expectations refuses a lower bound above the upper one here, and only here."""
    both = bounds.get("min_value") is not None and bounds.get("max_value") is not None
    low, high = sorted(bounds.values()) if both else (None, None)
    return {"min_value": low, "max_value": high} if both else bounds


def _pairs(draw, names):
    kwargs = _two(draw, names)

    def fitting(argument):
        pools = {"text": [*TEXTS[:4], None], "number": [*SMALL, 1.5, 2.0**53, None]}
        family = names.family[kwargs[argument]]
        return st.sampled_from(pools[family if family in pools and draw(st.integers(0, 9)) else "number"])

    pairs = st.tuples(fitting("column_A"), fitting("column_B"))
    return {**kwargs, "value_pairs_set": draw(st.lists(pairs, min_size=1, max_size=5))}


MAKERS = {
    "expect_column_values_to_not_be_null": _mostly,
    "expect_column_values_to_be_null": _mostly,
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": lambda d, n: {**_set(d, n), **d(MOSTLY)},
    "expect_column_values_to_not_be_in_set": lambda d, n: {**_set(d, n), **d(MOSTLY)},
    "expect_column_value_lengths_to_be_between": lambda d, n: {**_mostly(d, n, "text"), **_counts(d), **_strict(d)},
    "expect_column_value_lengths_to_equal": lambda d, n: {**_mostly(d, n, "text"), "value": d(st.sampled_from([0, 1, 2, 3, 1.5]))},
    "expect_column_values_to_be_unique": _mostly,
    "expect_column_values_to_match_regex": _regex,
    "expect_column_values_to_not_match_regex": _regex,
    "expect_column_values_to_match_regex_list": lambda d, n: {
        **_mostly(d, n, "text"),
        "regex_list": d(st.lists(st.sampled_from(REGEXES), min_size=1, max_size=3)),
        **d(st.sampled_from([{}, {"match_on": "any"}, {"match_on": "all"}])),
    },
    "expect_column_values_to_not_match_regex_list": lambda d, n: {
        **_mostly(d, n, "text"),
        "regex_list": d(st.lists(st.sampled_from(REGEXES), min_size=1, max_size=3)),
    },
    "expect_column_values_to_be_increasing": lambda d, n: {**_mostly(d, n, "number", "moment"), **d(st.sampled_from([{}, {"strictly": True}]))},
    "expect_column_values_to_be_decreasing": lambda d, n: {**_mostly(d, n, "number", "moment"), **d(st.sampled_from([{}, {"strictly": True}]))},
    "expect_column_value_z_scores_to_be_less_than": lambda d, n: {
        **_mostly(d, n, "number", "moment"),
        "threshold": d(st.sampled_from([0.5, 1, 2.5, -1])),
        "double_sided": d(FLAG),
    },
    "expect_column_type_to_be": lambda d, n: {**_one(d, n), "type_": d(st.sampled_from([t for t in TYPES if t not in UNKNOWN]))},
    "expect_column_values_to_be_of_type": lambda d, n: {**_mostly(d, n), "type_": d(st.sampled_from(TYPES))},
    "expect_column_values_to_be_in_type_list": lambda d, n: {
        **_mostly(d, n),
        "type_list": d(st.lists(st.sampled_from(TYPES), min_size=1, max_size=3)),
    },
    "expect_column_values_to_be_json_parseable": lambda d, n: _mostly(d, n, "text"),
    "expect_column_values_to_be_dateutil_parseable": lambda d, n: _mostly(d, n, "text"),
    "expect_column_values_to_match_strftime_format": lambda d, n: {
        **_mostly(d, n, "text"),
        "strftime_format": d(st.sampled_from(["%Y-%m-%d", "%d", "a", "%H:%M"])),
    },
    "expect_column_pair_values_a_to_be_greater_than_b": lambda d, n: {**_two(d, n), "or_equal": d(FLAG)},
    "expect_column_pair_values_to_be_equal": _two,
    "expect_column_pair_values_to_be_in_set": _pairs,
    "expect_compound_columns_to_be_unique": _several,
    "expect_multicolumn_sum_to_equal": lambda d, n: {**_several(d, n), "sum_total": d(st.sampled_from([0, 3, 2.5, 0.30000000000000004]))},
    "expect_multicolumn_values_to_be_equal": _several,
    "expect_select_column_values_to_be_unique_within_record": _several,
    **{
        f"expect_column_{name}_to_be_between": _statistic
        for name in ("min", "max", "mean", "median", "sum")
    },
    "expect_column_stdev_to_be_between": lambda d, n: {**_one(d, n, "number"), **_bounds(d, NUMBERS), **_strict(d)},
    "expect_column_unique_value_count_to_be_between": lambda d, n: {**_one(d, n), **_counts(d), **_strict(d)},
    **{
        f"expect_column_proportion_of_{name}_values_to_be_between": lambda d, n: {
            **_one(d, n),
            **_bounds(d, st.sampled_from([0, 0.25, 0.5, 1])),
            **_strict(d),
        }
        for name in ("unique", "non_null")
    },
    "expect_column_distinct_values_to_be_in_set": _filled_set,
    **{f"expect_column_distinct_values_to_{name}_set": _set for name in ("contain", "equal")},
    "expect_column_most_common_value_to_be_in_set": lambda d, n: {**_set(d, n), "ties_okay": d(FLAG)},
    "expect_column_quantile_values_to_be_between": lambda d, n: {
        **_one(d, n, "number"),
        "quantile_ranges": {
            "quantiles": [0.0, 0.25, 0.5],
            "value_ranges": d(st.lists(st.lists(st.sampled_from([None, *SMALL, 1.5]), min_size=2, max_size=2), min_size=3, max_size=3)),
        },
        **d(st.sampled_from([{}, {"allow_relative_error": "linear"}, {"allow_relative_error": "nearest"}])),
    },
    "expect_table_row_count_to_equal": lambda d, _: {"value": d(st.integers(0, 10))},
    "expect_table_row_count_to_be_between": lambda d, _: {**_ordered(_counts(d)), **_strict(d)},
    "expect_table_column_count_to_equal": lambda d, _: {"value": d(st.integers(2, 5))},
    "expect_table_column_count_to_be_between": lambda d, _: _counts(d),
    "expect_column_to_exist": lambda d, n: {
        "column": d(st.sampled_from([*n, "zz"])),
        **d(st.sampled_from([{}, {"column_index": 0}, {"column_index": 1}, {"column_index": 9}])),
    },
    "expect_table_columns_to_match_set": lambda d, n: {
        "column_set": d(st.lists(st.sampled_from([*n, "zz"]), max_size=5)),
        **d(st.sampled_from([{}, {"exact_match": False}])),
    },
    "expect_table_columns_to_match_ordered_list": lambda d, n: {
        "column_list": d(st.sampled_from([[*n], n[:-1], [*reversed(n)], [*n, "zz"]])),
    },
}  # fmt: skip


@st.composite
def audits(draw):
    """A frame and a dozen expectations on it."""
    frame = draw(frames())
    names = Names(frame)
    return frame, draw(st.lists(expectations(names), min_size=8, max_size=20))
