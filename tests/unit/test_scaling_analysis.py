"""Fits, predictions and crossovers on tables of known laws."""

import numpy as np
import pandas as pd
import pytest

from formerbench.analysis.crossovers import duels, winners
from formerbench.analysis.experiments import latency, longest, switches
from formerbench.analysis.fits import NoFit, PowerLaw, power_law
from formerbench.analysis.measured import machines, measured, median_interval, resampled_medians
from formerbench.analysis.prediction import Errors, fit_parts, past_errors, predict, predicted
from formerbench.analysis.theory import LINEAR, LOG_LINEAR, MECHANISMS, MODELS, QUADRATIC, complexity
from formerbench.errors import StatedError
from formerbench.models import MODELS as BUILT
from formerbench.models import NAIVE
from formerbench.results import REPEAT_COLUMNS, SCALING_AXES, SCALING_COLUMNS

LENGTHS = np.array([96, 192, 336, 720, 1000, 1440, 2000, 3000, 5000])
NUMBERS = [name for name, kind in SCALING_COLUMNS.items() if kind is float]


def noisy(costs, random, spread=0.03, n=20):
    """Repeats about each cost, and their medians."""
    repeats = [[cost * random.lognormal(0, spread, n)] for cost in costs]
    return repeats, np.array([np.median(one) for one in repeats])


def table(laws, lengths=LENGTHS, spread=0.02, seed=0, **columns):
    """Measured rows of the experiment ``lookback``: subject -> cost of a length, in time and memory."""
    random = np.random.default_rng(seed)
    rows, raw = [], []
    for subject, law in laws.items():
        for length in lengths:
            row = {"subject": subject, "lookback": int(length), "experiment": "lookback", "variant": "base"}
            row |= {"horizon": 96, "n_variates": 7, "batch_size": 8, "threads": 2, "cpu": "CPU"}
            row |= {"device": "cpu", "precision": "fp32", "phase": "inference", "status": "ok"} | columns
            (repeats,), (time,) = noisy([law(float(length))], random, spread)
            row |= {"time_ms": time, "peak_tensor_mb": law(float(length)), "repeats": len(repeats[0])}
            rows.append(row)
            axes = {axis: row[axis] for axis in SCALING_AXES}
            raw += [
                axes | {"process": 1, "repeat": i, "time_ms": value} for i, value in enumerate(repeats[0])
            ]
    return measured(frame(rows), pd.DataFrame(raw, columns=list(REPEAT_COLUMNS)))


def frame(rows):
    """Typed scaling rows; what is not given is missing."""
    empty = {name: "" if kind is str else None for name, kind in SCALING_COLUMNS.items()}
    found = pd.DataFrame([empty | row for row in rows])
    return found.astype(dict.fromkeys(NUMBERS, float))


@pytest.mark.parametrize(
    ("law", "exponent"),
    [
        (lambda x: 0.01 * x**1.5, 1.5),
        (lambda x: 3 * x**0.4, 0.4),
        (lambda x: 1e-5 * x**2, 2),
        (lambda x: np.full_like(x, 7.0), 0),
    ],
)
def test_a_power_law_is_found_exactly_over_all_lengths(law, exponent):
    x = LENGTHS.astype(float)
    fit = power_law(x, law(x))
    assert fit.exponent == pytest.approx(exponent, abs=1e-9)
    assert (fit.first, fit.last, fit.n, fit.left_out) == (96, 5000, 9, 0)
    assert fit.straight
    assert fit.at(500.0) == pytest.approx(law(np.array([500.0]))[0])


def test_lengths_where_a_constant_dominates_are_left_out():
    x = LENGTHS.astype(float)
    fit = power_law(x, 20 + 0.2 * x)
    assert fit.first > 96
    assert fit.last == 5000
    assert 0.9 < fit.exponent < 1
    whole = np.polyfit(np.log(x), np.log(20 + 0.2 * x), 1)[0]
    assert abs(fit.exponent - 1) < abs(whole - 1) / 2


def test_the_exponent_of_l_log_l_is_what_theory_implies_over_the_range():
    x = LENGTHS.astype(float)
    fit = power_law(x, x * np.log(x))
    assert fit.exponent == pytest.approx(LOG_LINEAR.exponent(fit.first, fit.last), abs=0.01)
    assert LINEAR.exponent(96, 5000) == 1
    assert QUADRATIC.exponent(96, 5000) == 2


def test_a_law_that_nowhere_is_straight_says_so():
    x = LENGTHS.astype(float)
    fit = power_law(x, 5 + 0.01 * x + 1e-5 * x**2)
    assert not fit.straight
    assert fit.n == 4
    assert fit.bend > 0.3


def test_the_interval_covers_the_truth_in_about_95_of_100_draws():
    random, x = np.random.default_rng(5), LENGTHS.astype(float)
    covered, widths = 0, []
    for _ in range(100):
        repeats, medians = noisy(1e-3 * x**1.3, random, spread=0.05)
        fit = power_law(x, medians, repeats)
        covered += fit.low <= 1.3 <= fit.high
        widths.append(fit.high - fit.low)
    assert 90 <= covered <= 100
    assert np.median(widths) < 0.05


def test_the_interval_covers_when_processes_differ_by_more_than_repeats():
    random, x = np.random.default_rng(6), LENGTHS.astype(float)
    covered, scattered = 0, 0
    for _ in range(100):
        between = random.lognormal(0, 0.06, len(x))
        repeats, medians = noisy(1e-3 * x**1.3 * between, random, spread=0.01)
        fit = power_law(x, medians, repeats)
        covered += fit.low <= 1.3 <= fit.high
        scattered += fit.by == "scatter"
    assert covered >= 88
    assert scattered >= 90


def test_few_repeats_give_an_interval_by_scatter():
    x = LENGTHS.astype(float)
    repeats, medians = noisy(x, np.random.default_rng(0), n=2)
    assert power_law(x, medians, repeats).by == "scatter"


@pytest.mark.parametrize(
    ("x", "reason"),
    [([], "there are 0"), ([96, 192, 336], "there are 3"), ([100, 110, 120, 130], "100 to 130")],
)
def test_too_few_lengths_give_a_reason_and_no_exponent(x, reason):
    fit = power_law(x, [float(one) for one in x])
    assert isinstance(fit, NoFit)
    assert reason in fit.reason


def test_the_same_points_in_any_order_give_the_same_fit():
    x = LENGTHS.astype(float)
    repeats, medians = noisy(x**1.2, np.random.default_rng(3))
    order = np.random.default_rng(4).permutation(len(x))
    again = power_law(x[order], medians[order], [repeats[i] for i in order])
    assert again == power_law(x, medians, repeats)


def test_the_median_lies_between_its_order_statistics_in_95_of_100():
    random = np.random.default_rng(1)
    intervals = [median_interval(random.exponential(size=25)) for _ in range(1000)]
    covered = sum(low <= np.log(2) <= high for low, high in intervals)
    assert 940 <= covered <= 990
    assert median_interval(np.array([3.0, 1.0, 2.0])) == (1.0, 3.0)


def test_every_model_and_mechanism_has_an_order_with_its_source():
    assert set(MODELS) == set(BUILT) - set(NAIVE)
    for name in [*MODELS, *MECHANISMS]:
        assert any(sign.isdigit() for sign in complexity(name).source)
    assert complexity("mine") is None


@pytest.mark.parametrize(
    "law",
    [
        lambda x: 3 + 0.05 * x,
        lambda x: 3 + 0.02 * x + 2e-6 * x**2,
        lambda x: 1 + 0.004 * x * np.log(x),
        lambda x: 0.5 + 1e-5 * x**2,
    ],
)
def test_a_sum_of_parts_is_predicted_beyond_its_lengths(law):
    short = LENGTHS[LENGTHS <= 2000].astype(float)
    assert fit_parts(short, law(short), "peak_tensor_mb").at(5000) == pytest.approx(law(5000.0), rel=0.03)
    _, medians = noisy(law(short), np.random.default_rng(0))
    assert fit_parts(short, medians).at(5000) == pytest.approx(law(5000.0), rel=0.15)


def test_a_measured_length_is_given_back_and_one_between_is_near():
    x = LENGTHS.astype(float)
    y = 3 + 0.05 * x
    y[3] *= 1.2
    curve = fit_parts(x, y)
    assert curve.at(720) == pytest.approx(y[3])
    assert curve.at(2500) == pytest.approx(3 + 0.05 * 2500, rel=0.03)
    assert curve.at(5001) == pytest.approx(curve.at(5000), rel=0.01)


def test_one_odd_length_does_not_bend_a_prediction():
    short = LENGTHS[LENGTHS <= 2000].astype(float)
    y = 3 + 0.05 * short
    y[-3] *= 1.3
    assert fit_parts(short, y).at(5000) == pytest.approx(3 + 0.05 * 5000, rel=0.05)


def test_intervals_cover_in_about_90_of_100_and_are_no_excuse():
    """Series with noise between processes: the table's own past errors make the interval of its future."""
    random = np.random.default_rng(11)
    covered, errors, widths = [], [], []
    for _ in range(12):
        series = []
        for _ in range(10):
            constant, slope, square = (
                random.uniform(0.5, 5),
                random.uniform(0.01, 0.1),
                random.uniform(0, 1e-5),
            )
            cost = (constant + slope * LENGTHS + square * LENGTHS**2) * random.lognormal(
                0, 0.04, len(LENGTHS)
            )
            series.append((LENGTHS.astype(float), cost))
        known = [(x[x <= 2000], y[x <= 2000], "") for x, y in series]
        past = Errors.of(known)
        for (x, y), (short, costs, _) in zip(series, known, strict=True):
            found = predicted(fit_parts(short, costs), 5000, past)
            covered.append(found.low <= y[-1] <= found.high)
            errors.append(abs(found.value / y[x == 5000][0] - 1))
            widths.append(np.log(found.high / found.low))
    assert 0.82 <= np.mean(covered) <= 1
    assert np.median(errors) < 0.15
    assert np.median(widths) < np.log(3)


def test_a_prediction_is_of_one_series_of_the_table():
    laws = {"patchtst": lambda x: 2 + 0.01 * x + 3e-6 * x**2, "itransformer": lambda x: 3 + 0.001 * x}
    rows = table(laws)
    short = rows[rows["lookback"] <= 2000]
    found = predict(short, 5000, "peak_tensor_mb", subject="patchtst", phase="inference")
    assert found.value == pytest.approx(laws["patchtst"](5000.0), rel=0.03)
    assert (found.first, found.last) == (96, 2000)
    assert found.octaves == pytest.approx(np.log2(2.5))
    assert sum(found.parts.values()) == pytest.approx(1)
    assert past_errors(short, "peak_tensor_mb").n == 2 * 6
    assert found.low < laws["patchtst"](5000.0) < found.high


def test_rows_that_did_not_end_and_other_machines_are_no_part_of_a_prediction():
    law = {"patchtst": lambda x: 2 + 0.01 * x}
    rows = pd.concat([table(law), table({"patchtst": lambda x: 70 + 3 * x}, cpu="Other")], ignore_index=True)
    with pytest.raises(StatedError, match="2 match"):
        predict(rows, 8000, subject="patchtst")
    rows.loc[(rows["lookback"] == 5000) & (rows["cpu"] == "CPU"), ["status", "time_ms"]] = ["oom", 1e6]
    found = predict(rows, 8000, subject="patchtst", machine="CPU, 2 threads")
    assert found.last == 3000
    assert found.value == pytest.approx(82, rel=0.15)


def test_too_little_to_predict_from_is_a_stated_error():
    rows = table({"patchtst": lambda x: 2 + 0.01 * x}, lengths=[96, 192, 336])
    with pytest.raises(StatedError, match="needs 4 measured lengths"):
        predict(rows, 5000, subject="patchtst")
    with pytest.raises(StatedError, match="0 match subject tft"):
        predict(rows, 5000, subject="tft")
    alone = table({"patchtst": lambda x: 2 + 0.01 * x}, lengths=LENGTHS[:6])
    assert predict(alone, 5000, subject="patchtst").low is None


def test_a_crossover_is_found_where_it_is():
    rows = table({"a": lambda x: 10 + 0 * x, "b": lambda x: 0.01 * x}, spread=0.005)
    (duel,) = duels(rows, "time_ms")
    (turn,) = duel.turns
    assert (turn.cheaper, turn.dearer) == ("a", "b")
    assert turn.length == pytest.approx(1000, rel=0.15)
    assert turn.after < 1000 < turn.before
    assert duel.cheaper is None


def test_two_crossovers_are_two():
    ratio = dict(zip(LENGTHS, [1.5, 1.4, 0.7, 0.6, 0.6, 0.7, 1.3, 1.5, 1.6], strict=True))
    rows = table({"a": lambda x: x, "b": lambda x: x * ratio[int(x)]}, spread=0.005)
    (duel,) = duels(rows, "time_ms")
    assert [turn.cheaper for turn in duel.turns] == ["b", "a"]
    assert [(turn.after, turn.before) for turn in duel.turns] == [(192, 336), (1440, 2000)]


def test_differences_within_noise_are_no_crossover():
    wiggle = dict(zip(LENGTHS, [1.01, 0.99] * 4 + [1.01], strict=True))
    rows = table({"a": lambda x: x, "b": lambda x: x * wiggle[int(x)]}, spread=0.08)
    (duel,) = duels(rows, "time_ms")
    assert duel.turns == ()
    assert duel.cheaper is None
    best = winners(rows, "time_ms")
    assert all(len(tied) == 1 for _, tied in best.values())


def test_who_is_cheaper_throughout_is_named_and_memory_is_exact():
    rows = table({"a": lambda x: x, "b": lambda x: 1.001 * x}, spread=0.1)
    (duel,) = duels(rows, "peak_tensor_mb")
    assert duel.cheaper == "a"
    assert duel.clear == len(LENGTHS)
    assert set(winners(rows, "peak_tensor_mb").values()) == {("a", ())}


def test_subjects_without_a_common_length_are_not_compared():
    rows = pd.concat([table({"a": lambda x: x}, lengths=[96]), table({"b": lambda x: x}, lengths=[192])])
    assert duels(rows, "time_ms") == []


def test_repeats_are_dropped_where_two_rows_share_their_axes():
    rows = table({"a": lambda x: x}, lengths=[96, 192])
    raw = [
        {axis: rows[axis].iloc[0] for axis in SCALING_AXES}
        | {"process": 1 + i % 2, "repeat": i, "time_ms": 1.0 + i}
        for i in range(5)
    ]
    scaling = rows[list(SCALING_COLUMNS)]
    once = measured(scaling, pd.DataFrame(raw))
    processes, none = once["repeats_ms"]
    assert [one.tolist() for one in processes] == [[1, 3, 5], [2, 4]]
    assert none == []
    twice = measured(pd.concat([scaling, scaling.assign(cpu="Other")]), pd.DataFrame(raw))
    assert twice["repeats_ms"].tolist() == [[], [], [], []]


def test_a_time_lies_between_those_of_its_processes():
    rows = table({"a": lambda x: 10.0}, lengths=[96])[list(SCALING_COLUMNS)]
    axes = {axis: rows[axis].iloc[0] for axis in SCALING_AXES}
    raw = [
        axes | {"process": process, "repeat": i, "time_ms": middle + 0.1 * i}
        for process, middle in ((1, 9.0), (2, 10.0), (3, 13.0))
        for i in (-1, 0, 1)
    ]
    found = measured(rows, pd.DataFrame(raw)).iloc[0]
    assert (found["time_low_ms"], found["time_high_ms"]) == (9.0, 13.0)


def test_drawn_medians_spread_as_processes_do():
    random = np.random.default_rng(0)
    steady = [np.array([middle, middle, middle]) for middle in (9.0, 10.0, 13.0)]
    medians, counts = np.unique(resampled_medians(steady, 5000, random), return_counts=True)
    assert medians.tolist() == [9, 10, 13]
    # Of three drawn with replacement, the middle one of the three values is the median in 13 of 27 cases.
    assert counts / 5000 == pytest.approx([7 / 27, 13 / 27, 7 / 27], abs=0.03)


def test_a_single_repeat_borrows_the_widest_interval_of_its_machine():
    rows = [{"cpu": "CPU", "threads": 1, "time_ms": 10.0, "time_ms_iqr": 2.0, "repeats": 16}]
    rows += [{"cpu": "CPU", "threads": 1, "time_ms": 100.0, "time_ms_iqr": 0.0, "repeats": 1}]
    found = measured(frame(rows), pd.DataFrame(columns=list(REPEAT_COLUMNS)))
    notch = 1.57 * 2 / 4
    assert found["time_low_ms"].tolist() == pytest.approx([10 - notch, 100 - 10 * notch])
    assert found["time_high_ms"].tolist() == pytest.approx([10 + notch, 100 + 10 * notch])


def test_a_machine_is_its_chip_and_threads():
    rows = frame([{"cpu": "C", "threads": 1}, {"cpu": "C", "gpu": "G", "device": "cuda", "threads": 8}, {}])
    assert machines(rows).tolist() == ["C, 1 thread", "G, 8 threads", ""]


def test_switch_ratios_have_intervals_and_find_their_base():
    base = table({"tft": lambda x: x}, lengths=[720], experiment="switches")
    slow = table(
        {"tft": lambda x: 1.3 * x}, lengths=[720], experiment="switches", variant="checkpoint", seed=1
    )
    same = table({"tft": lambda x: x}, lengths=[720], experiment="switches", variant="compile", seed=2)
    half = table({"tft": lambda x: 0.5 * x}, [720], experiment="switches", variant="bf16", precision="bf16")
    lone = table({"dlinear": lambda x: x}, [720], experiment="switches", variant="compile")
    found = {
        s.row["variant"]: s for s in switches(pd.concat([base, slow, same, half, lone], ignore_index=True))
    }
    assert set(found) == {"checkpoint", "compile", "bf16"}
    ratio = found["checkpoint"].time
    assert ratio.low < 1.3 < ratio.high
    assert ratio.clear
    assert not found["compile"].time.clear
    assert found["bf16"].base["precision"] == "fp32"
    assert found["bf16"].tensors.value == pytest.approx(0.5)


def test_throughput_is_windows_in_a_second():
    rows = table({"a": lambda x: 20.0 + 0 * x}, lengths=[96], experiment="horizon", batch_size=32, spread=0)
    assert latency(rows)["windows_per_s"].tolist() == pytest.approx([1600])


def test_the_longest_lookback_comes_first_and_failures_last():
    rows = table({"a": lambda x: x, "b": lambda x: x}, lengths=[1000], experiment="longest")
    rows.loc[rows["subject"] == "b", "lookback"] = 2000
    failed = rows.iloc[[0]].assign(subject="c", status="oom", lookback=9999)
    assert longest(pd.concat([rows, failed]))["subject"].tolist() == ["b", "a", "c"]


def test_a_fit_is_plain_numbers():
    fit = power_law(LENGTHS, LENGTHS.astype(float))
    assert isinstance(fit, PowerLaw)
    assert all(isinstance(value, float | int | str | bool) for value in vars(fit).values())
