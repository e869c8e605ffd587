"""Time marks against pandas' calendar, whose fields the official `timeF` encoding divides."""

import numpy as np
import pandas as pd
import pytest

from formerbench.data.marks import MARK_KINDS, time_marks

PANDAS = {
    "minute of hour": lambda index: index.minute / 59,
    "hour of day": lambda index: index.hour / 23,
    "day of week": lambda index: index.day_of_week / 6,
    "day of month": lambda index: (index.day - 1) / 30,
    "day of year": lambda index: (index.day_of_year - 1) / 365,
}


@pytest.mark.parametrize("kind", MARK_KINDS)
@pytest.mark.parametrize(
    ("start", "step"), [("2019-12-28 23:30", "15min"), ("1968-02-20", "7h"), ("2023-01-01", "3D")]
)
def test_marks_equal_the_calendar_of_pandas(kind, start, step):
    index = pd.date_range(start, periods=2000, freq=step)  # over leap days, year ends and before 1970
    marks = time_marks(index.to_numpy().astype("datetime64[s]"), kind)
    wanted = np.column_stack([PANDAS[name](index) - 0.5 for name in MARK_KINDS[kind]])
    assert marks.dtype == np.float32
    np.testing.assert_allclose(marks, wanted, atol=1e-6)


def test_marks_reach_both_ends_of_their_range():
    year = np.arange("2020-01-01", "2021-01-01", dtype="datetime64[m]").astype("datetime64[s]")
    marks = time_marks(year, "t")
    assert marks.min(axis=0).tolist() == [-0.5] * 5
    np.testing.assert_allclose(marks.max(axis=0), 0.5)


def test_unknown_kind_is_a_key_error():
    with pytest.raises(KeyError):
        time_marks(np.array(["2020-01-01"], dtype="datetime64[s]"), "x")
