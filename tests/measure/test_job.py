"""A measurement of a study: its file, and a search that goes on after a kill."""

import json
from dataclasses import replace
from statistics import median

import pytest

from formerbench.config import Study
from formerbench.measure.job import run
from formerbench.measure.sandbox import Sandbox
from formerbench.measurements import measurements
from formerbench.results import SCALING_COLUMNS

LIMITS = {"from": 32, "to": 200, "memory_mb": 500, "step_s": 1}


def study(**scaling):
    shape = {"horizon": 4, "n_variates": 2, "batch_size": 2}
    own = {"shape": shape, "seconds": 0.05, "time_budget_s": 60, **scaling}
    return Study.from_config({"study": "s", "models": ["dlinear"], "threads": 1, "scaling": own})


def only(**scaling):
    (one,) = measurements(study(**scaling))
    return one


def test_rows_and_raw_times_are_written(tmp_path):
    rows = run(only(lookback={"lookbacks": [32]}), tmp_path, source_digest="d", machine={"flop_per_s": 1e9})
    written = json.loads((tmp_path / "profile.json").read_text())
    assert written["rows"] == rows
    for row, phase in zip(rows, ("train_step", "inference"), strict=True):
        assert list(row) == list(SCALING_COLUMNS)
        assert (row["phase"], row["status"], row["experiment"], row["variant"]) == (
            phase,
            "ok",
            "lookback",
            "base",
        )
        assert row["source_digest"] == "d"
        times_ms = written["times_ms"][phase]
        assert len(times_ms) == 3
        assert sum(len(one) for one in times_ms) == row["repeats"]
        assert row["time_ms"] == median(median(one) for one in times_ms)
        assert row["share_of_peak"] == pytest.approx(row["flops"] / row["time_ms"] * 1e3 / 1e9)


def test_what_makes_no_sense_and_too_few_threads_are_rows(tmp_path):
    one = only(lookback={"lookbacks": [32]})
    (skipped, _) = run(replace(one, skip="no sense"), tmp_path)
    assert (skipped["status"], skipped["reason"], skipped["lookback"]) == ("skipped", "no sense", 32)
    (failed, _) = run(replace(one, work=replace(one.work, threads=2)), tmp_path, threads=1)
    assert (failed["status"], failed["time_ms"]) == ("failed", None)
    assert failed["reason"] == "got 1 threads of the 2 that the config asks for; give more cores"


@pytest.fixture
def tried(monkeypatch):
    """Lengths that were really measured."""
    lengths, measure = [], Sandbox.run

    def counted(self, work, seconds, **more):
        lengths.append((work.phase, work.lookback))
        return measure(self, work, seconds, **more)

    monkeypatch.setattr(Sandbox, "run", counted)
    return lengths


def test_the_longest_input_is_found_and_says_its_limits(tmp_path, tried):
    rows = run(only(longest=LIMITS), tmp_path)
    assert [(row["lookback"], row["status"]) for row in rows] == [(200, "ok"), (200, "ok")]
    assert rows[0]["reason"] == "limits: 500 MB and 1 s; longer ones were not tried"
    assert tried == [(p, n) for p in ("train_step", "inference") for n in (32, 64, 128, 200)]
    assert not (tmp_path / "trials.json").exists()


def test_even_the_first_length_may_be_too_long(tmp_path):
    train, _ = run(only(longest=LIMITS | {"step_s": 1e-9}), tmp_path)
    assert (train["status"], train["lookback"]) == ("timeout", 32)
    assert train["reason"].startswith("limits: 500 MB and 1e-09 s; L=32 took")


def test_a_killed_search_goes_on_where_it_was(tmp_path, tried, monkeypatch):
    one, measure = only(longest=LIMITS), Sandbox.run

    def killed(self, work, seconds, **more):
        if work.phase == "inference":
            raise KeyboardInterrupt
        return measure(self, work, seconds, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Sandbox, "run", killed)
        with pytest.raises(KeyboardInterrupt):
            run(one, tmp_path, source_digest="same")
    assert not (tmp_path / "profile.json").exists()
    tried.clear()
    run(one, tmp_path, source_digest="same")
    assert {phase for phase, _ in tried} == {"inference"}


def test_trials_of_other_code_are_made_again(tmp_path, tried):
    one = only(longest=LIMITS)
    (tmp_path / "trials.json").write_text(json.dumps({"key": "other", "trials": {"train_step 32": [{}, []]}}))
    run(one, tmp_path)
    assert ("train_step", 32) in tried
