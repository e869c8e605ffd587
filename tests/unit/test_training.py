"""Training repeats to the bit, in one go or resumed, and stops for the reasons it states."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from formerbench.checkpoint import StateFolder
from formerbench.data.windows import Scaler, Windows
from formerbench.grid import Training
from formerbench.logs import logger
from formerbench.measure.memory import PeakMemory
from formerbench.models import build
from formerbench.models.batch import Forecaster
from formerbench.training import Diverged, Trainer

from ..conftest import make_series

SETTINGS = Training(
    batch_size=32, learning_rate=1.0, schedule="TST", pct_start=0.955, epochs=5, patience=5, max_grad_norm=1.0
)


@pytest.fixture
def series():
    """Mere noise, so that the best epoch is an early one."""
    noise = np.random.default_rng(6).normal(size=(400, 3)).astype(np.float32)
    return replace(make_series(rows=400), values=noise)


def trainer(series, folder, settings=SETTINGS, seed=3, key="a", model=None, precision="fp32"):
    torch.manual_seed(seed)
    scaler = Scaler.fit(series)
    windows, validation = (Windows(series, 24, 8, split, scaler) for split in ("train", "val"))
    options = {"patch_len": 8, "stride": 4, "d_model": 8, "n_heads": 2, "d_ff": 8, "layers": 1}
    model = model or build("patchtst", lookback=24, horizon=8, n_variates=3, **options)
    state = StateFolder(folder, key)
    return Trainer(
        model,
        windows,
        validation,
        settings,
        device="cpu",
        precision=precision,
        seed=seed,
        state=state,
        memory=PeakMemory("cpu"),
    )


def outcome(one):
    """Final weights and all of the progress that is not a time."""
    progress = one.train()
    history = [{k: v for k, v in row.items() if k != "train_time_s"} for row in progress.history]
    numbers = (progress.epoch, progress.step, progress.best_epoch, progress.best_loss, progress.stopped_by)
    return {name: tensor.clone() for name, tensor in one.model.state_dict().items()}, (numbers, history)


def same(one, other):
    weights = all(torch.equal(one[0][name], other[0][name]) for name in one[0])
    return weights and one[1] == other[1]


class Killed(BaseException):
    pass


def kill_after(one, epoch):
    """Let ``one`` train until the state of ``epoch`` is written, then stop it as a kill would."""
    save = one._save

    def save_and_die():
        save()
        if one.progress.epoch == epoch:
            raise Killed

    one._save = save_and_die
    with pytest.raises(Killed):
        one.train()


def test_the_same_seed_gives_the_same_bits(series, tmp_path):
    first = outcome(trainer(series, tmp_path / "1"))
    assert same(first, outcome(trainer(series, tmp_path / "2")))
    assert not same(first, outcome(trainer(series, tmp_path / "3", seed=4)))


@pytest.mark.parametrize("epoch", [1, 3, 5])
def test_a_resumed_training_gives_the_same_bits(series, tmp_path, epoch):
    whole = outcome(trainer(series, tmp_path / "whole"))
    kill_after(trainer(series, tmp_path / "killed"), epoch)
    resumed = trainer(series, tmp_path / "killed")
    assert resumed.progress.epoch == epoch
    assert resumed.state.attempts == 2
    assert same(whole, outcome(resumed))


def drop_tensors(prefix):
    def mutate(loaded, fresh):
        tensors, progress = loaded
        return {k: fresh.get(k, v) if k.startswith(prefix) else v for k, v in tensors.items()}, progress

    return mutate


def drop_optimizer(loaded, fresh):
    tensors, progress = loaded
    return {k: torch.zeros_like(v) if k.startswith("optimizer") else v for k, v in tensors.items()}, progress


def drop_schedule(loaded, fresh):
    return loaded[0], loaded[1] | {"step": 0}


MUTANTS = {
    "weights": drop_tensors("model"),
    "best weights": drop_tensors("best"),
    "optimizer moments": drop_optimizer,
    "sampler": drop_tensors("rng.sampler"),
    "dropout RNG": drop_tensors("rng.torch"),
    "schedule": drop_schedule,
}


@pytest.mark.parametrize("dropped", MUTANTS)
def test_a_state_without_one_of_its_parts_is_noticed(series, tmp_path, monkeypatch, dropped):
    whole = outcome(trainer(series, tmp_path / "whole"))
    best_epoch = whole[1][0][2]
    assert best_epoch < 4, "the best weights must be older than the last epoch for this test to mean anything"
    kill_after(trainer(series, tmp_path / "killed"), 4)
    begun = trainer(series, tmp_path / "fresh")
    begun._save()
    fresh, _ = StateFolder(tmp_path / "fresh", "a").load()
    load = StateFolder.load
    monkeypatch.setattr(
        StateFolder, "load", lambda self: (found := load(self)) and MUTANTS[dropped](found, fresh)
    )
    assert not same(whole, outcome(trainer(series, tmp_path / "killed")))


def test_a_state_of_other_settings_is_not_used(series, tmp_path, monkeypatch):
    kill_after(trainer(series, tmp_path), 2)
    said = []
    monkeypatch.setattr(logger, "info", lambda text, *_: said.append(text))
    again = trainer(series, tmp_path, key="b")
    assert "it starts afresh" in said[0]
    assert again.progress.epoch == 0
    assert again.state.attempts == 1


def test_the_state_holds_no_pickle_and_no_leftovers(series, tmp_path):
    kill_after(trainer(series, tmp_path), 3)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["epoch3.safetensors", "state.json"]
    assert json.loads((tmp_path / "state.json").read_text())["progress"]["epoch"] == 3


def test_best_weights_are_restored(series, tmp_path):
    one = trainer(series, tmp_path)
    progress = one.train()
    assert progress.best_epoch < progress.epoch
    losses = [row["validation_loss"] for row in progress.history]
    assert progress.best_loss == min(losses) == losses[progress.best_epoch - 1]
    assert one._validate() == progress.best_loss


@pytest.mark.parametrize(
    ("changes", "stopped_by"),
    [
        ({"epochs": 2}, "epochs"),
        ({"epochs": 50, "patience": 2}, "patience"),
        ({"max_steps": 5}, "budget"),
        ({"max_seconds": 1e-6}, "budget"),
    ],
)
def test_reasons_to_stop(series, tmp_path, changes, stopped_by):
    settings = Training(**{**vars(SETTINGS), **changes})
    progress = trainer(series, tmp_path, settings).train()
    assert progress.stopped_by == stopped_by
    if "max_steps" in changes:
        assert progress.step == 5
    if stopped_by == "patience":
        assert progress.epoch - progress.best_epoch == 2
    assert len(progress.step_times_ms) == progress.step
    assert progress.train_time_s == pytest.approx(sum(progress.step_times_ms) / 1e3)


def test_validation_may_use_an_even_sample(series, tmp_path):
    whole = trainer(series, tmp_path / "a")
    sampled = trainer(series, tmp_path / "b", Training(**{**vars(SETTINGS), "validation_windows": 10}))
    seen = []
    batch = sampled.validation.batch
    sampled.validation.batch = lambda index: seen.extend(index.tolist()) or batch(index)
    assert sampled._validate() != whole._validate()
    assert len(seen) == 10
    assert (seen[0], seen[-1]) == (0, len(sampled.validation) - 1)


def test_validation_loss_does_not_depend_on_a_ragged_last_batch(series, tmp_path):
    count = len(trainer(series, tmp_path / "a").validation)
    assert count % 32
    losses = [
        trainer(series, tmp_path / str(b), Training(**{**vars(SETTINGS), "batch_size": b}))._validate()
        for b in (32, count)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


class Exploding(Forecaster):
    """Its loss is infinite from the third step on."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.calls = 0

    def forward(self, batch):
        self.calls += 1
        factor = float("inf") if self.calls > 2 else 1.0
        return (batch.past[:, -1:] * self.weight * factor).expand(-1, 8, -1)


def test_a_diverged_training_says_so(series, tmp_path):
    with pytest.raises(Diverged, match=r"diverged in epoch 1: training loss (nan|inf)"):
        trainer(series, tmp_path, model=Exploding()).train()


def test_gradients_are_clipped(series, tmp_path):
    """With a bound near zero Adam's moments stay near zero, without one they do not."""
    sizes = {}
    for bound in (None, 1e-6):
        settings = Training(**{**vars(SETTINGS), "max_grad_norm": bound, "max_steps": 3})
        one = trainer(series, tmp_path / str(bound), settings)
        one.train()
        moments = [state["exp_avg"] for state in one.optimizer.state_dict()["state"].values()]
        sizes[bound] = torch.cat([moment.flatten() for moment in moments]).norm()
    assert sizes[1e-6] < 1e-6 < 1e-3 < sizes[None]


def test_bf16_trains_close_to_fp32(series, tmp_path):
    full = trainer(series, tmp_path / "a").train().best_loss
    half = trainer(series, tmp_path / "b", precision="bf16").train().best_loss
    assert half != full
    assert half == pytest.approx(full, rel=0.1)


def test_a_step_does_not_wait_for_data(tmp_path):
    """Of an epoch of DLinear at the size of ETTh1, the fastest model there is, most is spent in steps."""
    large = make_series(rows=14400, variates=7)
    scaler = Scaler.fit(large)
    windows, validation = (Windows(large, 96, 96, split, scaler) for split in ("train", "val"))
    model = build("dlinear", lookback=96, horizon=96, n_variates=7)
    one = Trainer(
        model,
        windows,
        validation,
        SETTINGS,
        device="cpu",
        precision="fp32",
        seed=0,
        state=StateFolder(tmp_path, "a"),
        memory=PeakMemory("cpu"),
    )
    assert len(windows) == 8449
    one.progress.epoch = 1
    began = time.perf_counter()
    one._epoch()
    wall = time.perf_counter() - began
    assert one.progress.step == 265
    assert one.clock.total_ms / 1e3 > 0.7 * wall
