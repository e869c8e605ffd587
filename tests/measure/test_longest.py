"""The search for the longest input."""

import pytest

from formerbench.measure.longest import TOLERANCE, longest


def search(limit, first=100, last=100_000):
    tried = []

    def within(length):
        tried.append(length)
        return length <= limit

    return longest(within, first, last), tried


@pytest.mark.parametrize("limit", [100, 101, 137, 999, 5000, 31_234, 99_999])
def test_the_result_is_within_the_limit_and_close_to_it(limit):
    found, tried = search(limit)
    assert found.lookback <= limit < found.too_long
    assert found.too_long <= TOLERANCE * found.lookback + 1
    assert len(tried) == len(set(tried)) <= 16


def test_the_search_ends_at_the_last_length_itself():
    found, tried = search(10**9, last=5000)
    assert (found.lookback, found.too_long, tried[-1]) == (5000, None, 5000)
    assert max(tried) == 5000


def test_nothing_is_within_the_limit():
    found, tried = search(10)
    assert (found.lookback, found.too_long, tried) == (None, 100, [100])


def test_one_length_only():
    assert search(200, 150, 150)[0].lookback == 150
