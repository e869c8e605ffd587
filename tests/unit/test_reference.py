"""The committed evidence: whole rows of clean commits, close to what others published."""

import csv
from statistics import geometric_mean, mean, stdev

import pytest

from formerbench.analysis.tables import read_evidence
from formerbench.data.registry import find, splits
from formerbench.results import ACCURACY_COLUMNS

from ..project import REPOSITORY

# ETTh1 at H=96: (lookback, MSE) of the paper.
PUBLISHED = {
    "patchtst": (336, 0.375),
    "itransformer": (96, 0.386),
    "dlinear": (336, 0.375),
    "fedformer": (96, 0.376),
    "autoformer": (96, 0.449),
    "informer": (96, 0.865),
}


REFERENCE = REPOSITORY / "results/reference"


def cells(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def rows():
    return cells(REFERENCE / "accuracy.csv")


def places(table):
    """Folders with a table: this project's own, and one a machine that others sent."""
    return sorted(path.parent for path in REFERENCE.rglob(table))


@pytest.mark.parametrize("folder", places("scaling.csv"), ids=lambda folder: folder.name)
def test_measurements_are_whole_and_say_where_they_come_from(folder):
    evidence = read_evidence(folder)
    rows = evidence.scaling
    assert len(rows)
    assert rows["git_commit"].str.len().eq(40).all()
    assert (rows["git_dirty"] == False).all()  # noqa: E712  (a missing value is not clean)
    assert (rows["cpu"] != "").all()
    assert (rows.loc[rows["device"] == "cuda", "gpu"] != "").all()
    assert rows.loc[rows["status"] == "ok", "time_ms"].gt(0).all()
    assert len(evidence.scaling_repeats)
    assert {one["device"] for one in evidence.machine} == set(rows["device"])


@pytest.mark.parametrize("folder", places("accuracy.csv"), ids=lambda folder: folder.name)
def test_cells_are_whole_and_say_where_they_come_from(folder):
    for row in cells(folder / "accuracy.csv"):
        assert list(row) == list(ACCURACY_COLUMNS)
        entry = find(row["dataset"])
        first, end = splits(entry, entry.rows)["test"]
        n_windows = end - first - int(row["horizon"]) + 1
        assert (row["status"], row["git_dirty"], row["n_test_windows"]) == ("ok", "false", str(n_windows))
        assert len(row["git_commit"]) == 40
        assert row["data_sha256"] in entry.accepted


@pytest.mark.parametrize("model", PUBLISHED)
def test_official_settings_reach_what_was_published_within_three_percent_or_the_noise(rows, model):
    lookback, mse = PUBLISHED[model]
    wanted = {"model": model, "lookback": str(lookback), "device": "cuda"}
    ours = [float(row["mse"]) for row in rows if wanted.items() <= row.items()]
    assert len(ours) == 3
    assert mean(ours) == pytest.approx(mse, abs=max(0.03 * mse, 2 * stdev(ours)))


@pytest.fixture(scope="module")
def peers():
    return cells(REFERENCE / "peers.csv")


def test_every_model_was_compared_with_its_peer_on_a_clean_commit(peers):
    compared = {(row["model"], row["lookback"], row["phase"]) for row in peers}
    assert len(compared) == len(peers) == 6 * 4 * 2
    assert {row["git_dirty"] for row in peers} == {"false"}
    for row in peers:
        parameters, flops = (
            int(row[f"ours_{what}"]) / int(row[f"peer_{what}"]) for what in ("parameters", "flops")
        )
        assert row["note"] or (abs(parameters - 1) <= 0.02 and abs(flops - 1) <= 0.1), row["model"]


def test_no_model_is_slower_than_its_peer(peers):
    assert [row["model"] for row in peers if float(row["time_ratio_high"]) > 1.03] == []


@pytest.mark.parametrize(
    ("d_model", "ratio", "most"),
    [("512", "time", 0.75), ("512", "memory", 0.8), ("64", "time", 0.5), ("64", "memory", 0.6)],
)
def test_time_and_memory_are_a_stated_share_of_the_peers(peers, d_model, ratio, most):
    assert geometric_mean(float(row[f"{ratio}_ratio"]) for row in peers if row["d_model"] == d_model) <= most
