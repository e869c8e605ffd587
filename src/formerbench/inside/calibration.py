"""Whether quantile forecasts hold what they say: coverage of each level, and levels that cross."""

import numpy as np
import torch

from formerbench.data.windows import Windows
from formerbench.inside import most_calibrated


@torch.no_grad()
def calibration(model: torch.nn.Module, windows: Windows, batch_size: int) -> dict | None:
    """Shares of truths below each level, and within each pair of levels that are symmetric about 0.5.

    The windows are spread evenly over the test split. ``crossings`` is the share of neighbouring levels of
    which the higher one lies below the lower one. None of a model without quantiles.
    """
    levels = tuple(getattr(model, "quantile_levels", ()))
    if not levels:
        return None
    count = min(most_calibrated(len(windows.entities)), len(windows))
    numbers = torch.linspace(0, len(windows) - 1, count, dtype=torch.float64).round().long()
    below, within, crossed, total = np.zeros(len(levels)), {}, 0, 0
    pairs = [(low, 1 - low) for low in levels if low < 0.5 and _at(levels, 1 - low) is not None]
    for index in numbers.split(batch_size):
        batch, target = windows.batch(index)
        quantiles = model.quantiles(batch)  # (b, H, v, q)
        below += (target[..., None] <= quantiles).sum(dim=(0, 1, 2)).numpy()
        crossed += int((quantiles.diff(dim=-1) < 0).sum())
        total += target.numel()
        for low, high in pairs:
            inside = (target >= quantiles[..., _at(levels, low)]) & (
                target <= quantiles[..., _at(levels, high)]
            )
            within[low] = within.get(low, 0) + int(inside.sum())
    return {
        "windows": count,
        "levels": list(levels),
        "below": (below / total).tolist(),
        "intervals": [{"wanted": round(high - low, 6), "got": within[low] / total} for low, high in pairs],
        "crossings": crossed / (total * max(1, len(levels) - 1)),
    }


def _at(levels: tuple[float, ...], level: float) -> int | None:
    """Where a level stands, 1 - 0.1 being 0.9 whatever the rounding."""
    return next((i for i, one in enumerate(levels) if abs(one - level) < 1e-9), None)
