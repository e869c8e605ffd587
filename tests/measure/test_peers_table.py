"""The comparison with the peer: pairs that are set up alike, and the arithmetic of its table."""

import math
from dataclasses import fields

import pytest

from formerbench.models import configure, spec
from formerbench.models.configs import Shape

from ..peers import table
from ..peers.settings import PEERS, pairs
from ..project import REPOSITORY


def run(ms, mb, parameters=2**20, flops=100, busy=False):
    counted = {"flops": flops, "phase_flops": 3 * flops, "peak": 1e6}
    return counted | {"ms": ms, "mb": mb, "parameters": parameters, "busy": busy}


@pytest.mark.parametrize("pair", pairs(), ids=lambda pair: f"{pair.model}-{pair.lookback}")
def test_our_side_of_a_pair_is_a_model_that_can_be_built(pair):
    config = configure(pair.model, pair.ours)
    assert spec(pair.model).config is type(config)
    shape = Shape(lookback=pair.lookback, horizon=pair.horizon, n_variates=pair.peer.n_variates)
    assert config.problem(shape) is None
    if "d_ff" in {field.name for field in fields(config)}:
        assert config.d_ff == {512: 2048, 64: 128}[config.d_model]


@pytest.mark.parametrize("model", PEERS)
def test_what_both_sides_have_is_given_to_both(model):
    (pair,) = pairs([model], [96])
    for name, theirs in pair.peer.names.items():
        assert pair.theirs[theirs] == pair.ours[name]
    assert set(pair.peer.options) <= set(pair.peer.names)


def test_every_model_stands_at_every_length():
    assert [pair.lookback for pair in pairs(["tft"])] == [96, 336, 720, 1440]
    assert len(pairs()) == 4 * len(PEERS)


def test_parameters_and_their_states_do_not_count_as_memory():
    rounds = table.Rounds([run(10, 20)], [run(20, 28)])
    (pair,) = pairs(["informer"], [96])
    assert table.row(pair, "train_step", rounds)["memory_ratio"] == pytest.approx((20 - 16) / (28 - 16))
    assert table.row(pair, "inference", rounds)["memory_ratio"] == pytest.approx((20 - 4) / (28 - 4))


def test_the_share_of_peak_is_the_work_of_a_step_over_its_time():
    (pair,) = pairs(["informer"], [96])
    ours = [run(1, 20), run(3, 20), run(2, 20)]
    del ours[1]["flops"], ours[1]["phase_flops"]  # counted in one run alone
    row = table.row(pair, "train_step", table.Rounds(ours, [run(1, 20)] * 3))
    assert row["share_of_peak"] == pytest.approx(3 * 100 / 0.002 / 1e6)
    assert table.row(pair, "inference", table.Rounds(ours, [run(1, 20)] * 3))["share_of_peak"] is None


def test_the_interval_is_that_of_paired_ratios():
    ours, peer = [run(ms, 20) for ms in (10, 22, 36)], [run(ms, 20) for ms in (20, 40, 60)]
    (pair,) = pairs(["informer"], [96])
    row = table.row(pair, "train_step", table.Rounds(ours, peer))
    assert row["time_ratio"] == pytest.approx(0.55)
    # By hand: logs of 0.5, 0.55, 0.6; t(0.975, 2) = 4.303.
    logs = [math.log(ratio) for ratio in (0.5, 0.55, 0.6)]
    mean = sum(logs) / 3
    half = 4.302653 * math.sqrt(sum((log - mean) ** 2 for log in logs) / 2 / 3)
    assert row["time_ratio_low"] == pytest.approx(math.exp(mean - half))
    assert row["time_ratio_high"] == pytest.approx(math.exp(mean + half))


def test_sizes_that_are_apart_say_so():
    (pair,) = pairs(["informer"], [96])
    alike = table.row(pair, "inference", table.Rounds([run(1, 9)], [run(1, 9, flops=109)]))
    assert alike["note"] == pair.peer.note
    apart = table.row(pair, "inference", table.Rounds([run(1, 9)], [run(1, 9, flops=125, parameters=2**19)]))
    assert "parameters +100%" in apart["note"]
    assert "flops -20%" in apart["note"]


def test_a_peer_that_cannot_leaves_its_columns_empty():
    (pair,) = pairs(["tft"], [1440])
    row = table.row(pair, "train_step", table.Rounds([run(1, 99)], [], problem="peer ended with -9"))
    assert (row["ours_ms"], row["peer_ms"], row["time_ratio"]) == (1, None, None)
    assert row["note"] == "peer ended with -9"


def test_a_part_run_replaces_its_own_rows_only(tmp_path):
    file = tmp_path / "peers.csv"
    for pair, ms in [*((pair, 10) for pair in pairs(lookbacks=[96, 336])), (pairs(["tft"], [96])[0], 30)]:
        table.merge(file, table.row(pair, "inference", table.Rounds([run(ms, 9)], [run(20, 9)])))
    rows = table.read(file)
    assert len(rows) == 2 * len(PEERS)
    assert {row["model"]: row["ours_ms"] for row in rows if row["ours_ms"] != "10"} == {"tft": "30"}
    assert tuple(rows[0]) == table.COLUMNS
    assert [row["model"] for row in rows] == [model for model in PEERS for _ in range(2)]
    summary = table.summary(rows)
    assert "geometric mean of time_ratio at d_model 64: 0.500 (6 rows)" in summary
    assert f"{(0.5**5 * 1.5) ** (1 / 6):.3f} (6 rows)" in summary


def test_the_committed_table_is_of_clean_commits_and_has_every_column():
    rows = table.read(REPOSITORY / "results/reference/peers.csv")
    assert rows
    for row in rows:
        assert tuple(row) == table.COLUMNS
        assert row["git_dirty"] == "false"
        assert float(row["time_ratio_low"]) <= float(row["time_ratio_high"])
