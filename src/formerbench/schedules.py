"""Learning-rate schedules of the official scripts, by their names there.

Each is a function of epoch and step alone, so that a resumed training needs no schedule state but its
counters. Epochs count from 1. The official code sets the rate of epoch e + 1 after epoch e by a formula
in e, which is why the first decay of ``type1`` is seen in epoch 3 and that of ``type3`` in epoch 5.

* ``constant``: the learning rate as given.
* ``type1``: halved every epoch from epoch 3 on (Informer and its successors).
* ``type3``: times 0.9 every epoch from epoch 5 on (PatchTST, LTSF-Linear).
* ``TST``: one cycle, set every step (Smith & Topin 2017, as torch's OneCycleLR): a cosine from 1/25 of the
  rate up to it in the share ``pct_start`` of all steps, then a cosine down to 1/250000 of it; beta1 runs
  from 0.95 to 0.85 and back.
* ``type3_patchtst``: ``type3`` as PatchTST's scripts really run it. They build a one-cycle schedule that
  they never step; building it leaves epoch 1 at 1/25 of the rate and beta1 at 0.95.
"""

from math import cos, pi
from typing import NamedTuple

BETA1 = 0.9
_WARM_START = 25
_END = 1e4


class Rate(NamedTuple):
    """What Adam uses in one step."""

    learning_rate: float
    beta1: float


def rate(
    name: str, learning_rate: float, *, epoch: int, step: int, total_steps: int, pct_start: float
) -> Rate:
    """The rate of the step number ``step`` (from 0, over all epochs) in ``epoch`` (from 1).

    Args:
        name: a schedule of this module.
        learning_rate: the largest rate.
        total_steps: steps of all epochs if none is cut short; ``TST`` alone needs it.
        pct_start: share of rising steps; ``TST`` alone needs it.
    """
    match name:
        case "constant":
            return Rate(learning_rate, BETA1)
        case "type1":
            return Rate(learning_rate * 0.5 ** max(0, epoch - 2), BETA1)
        case "type3":
            return Rate(learning_rate * 0.9 ** max(0, epoch - 4), BETA1)
        case "type3_patchtst":
            decay = 1 / _WARM_START if epoch == 1 else 0.9 ** max(0, epoch - 4)
            return Rate(learning_rate * decay, 0.95)
        case "TST":
            return _one_cycle(learning_rate, step, total_steps, pct_start)
    raise ValueError(f"unknown schedule '{name}'")


def _one_cycle(top: float, step: int, total_steps: int, pct_start: float) -> Rate:
    start, end = top / _WARM_START, top / _WARM_START / _END
    peak = pct_start * total_steps - 1  # torch counts steps from 0 and lets the peak fall between two
    if step <= peak:
        share = step / peak if peak else 1.0
        return Rate(_cosine(start, top, share), _cosine(0.95, 0.85, share))
    share = (step - peak) / max(1, total_steps - 1 - peak)
    return Rate(_cosine(top, end, share), _cosine(0.85, 0.95, share))


def _cosine(begin: float, end: float, share: float) -> float:
    return end + (begin - end) / 2 * (1 + cos(pi * share))
