"""Window normalisation: every window is scaled by its own statistics, the forecast is scaled back."""

from torch import Tensor


def window_statistics(past: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Mean and population standard deviation (b, 1, v) of ``past`` (b, L, v) over time.

    No gradient flows through the mean. ``eps`` is added to the variance.
    """
    mean = past.mean(dim=1, keepdim=True).detach()
    # Several times as fast as `var` over an axis that is not the last.
    variance = (past - mean).square().mean(dim=1, keepdim=True)
    return mean, (variance + eps).sqrt()
