"""Schedules against torch's own OneCycleLR and against the rates that the official loops end up with."""

import pytest
import torch

from formerbench.schedules import rate


def rates(name, epochs, steps_per_epoch=4, learning_rate=1e-3, pct_start=0.3):
    total = epochs * steps_per_epoch
    return [
        rate(
            name,
            learning_rate,
            epoch=1 + s // steps_per_epoch,
            step=s,
            total_steps=total,
            pct_start=pct_start,
        )
        for s in range(total)
    ]


@pytest.mark.parametrize(("epochs", "pct_start"), [(5, 0.3), (25, 0.4), (10, 0.2)])
def test_tst_is_torchs_one_cycle(epochs, pct_start):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([parameter], lr=1.0)
    total = epochs * 4
    torchs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1e-3, total_steps=total, pct_start=pct_start
    )
    for step, ours in enumerate(rates("TST", epochs, pct_start=pct_start)):
        group = optimizer.param_groups[0]
        assert ours.learning_rate == pytest.approx(group["lr"], rel=1e-9), step
        assert ours.beta1 == pytest.approx(group["betas"][0], rel=1e-9), step
        optimizer.step()
        if step < total - 1:
            torchs.step()


def official_adjustment(name, epochs, learning_rate=1e-3):
    """The rate of each epoch when the official loop sets it after an epoch, with the epoch's number + 1."""
    used, now = [], learning_rate
    for done in range(epochs):  # 0-based, as in the official loop
        used.append(now)
        n = done + 1
        now = learning_rate * (0.5 ** (n - 1) if name == "type1" else 1 if n < 3 else 0.9 ** (n - 3))
    return used


@pytest.mark.parametrize("name", ["type1", "type3"])
def test_epoch_schedules_equal_the_official_loop(name):
    ours = [r.learning_rate for r in rates(name, 8, steps_per_epoch=1)]
    assert ours == pytest.approx(official_adjustment(name, 8))


def test_patchtst_starts_at_a_25th_and_keeps_beta1():
    ours = rates("type3_patchtst", 8, steps_per_epoch=1)
    assert ours[0] == (1e-3 / 25, 0.95)
    assert [r.learning_rate for r in ours[1:]] == pytest.approx(official_adjustment("type3", 8)[1:])
    assert {r.beta1 for r in ours} == {0.95}


@pytest.mark.parametrize("total", [1, 2, 3, 5])
def test_tst_of_a_few_steps_stays_within_its_bounds(total):
    for step in range(total):
        ours = rate("TST", 1e-3, epoch=1, step=step, total_steps=total, pct_start=0.2)
        assert 1e-3 / 25e4 <= ours.learning_rate <= 1e-3
