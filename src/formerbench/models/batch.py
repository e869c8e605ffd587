"""What every model gets and gives."""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional


class Batch(NamedTuple):
    """Inputs of a forecast, on the scaled axis; shapes by the package's axis legend.

    A model takes from it what its paper uses and leaves the rest.
    """

    past: Tensor  # (b, L, v)
    past_marks: Tensor  # (b, L, f)
    future_marks: Tensor  # (b, H, f)
    past_covariates: Tensor | None = None  # (b, L, p)
    known: Tensor | None = None  # (b, L + H, k)
    static_ids: Tensor | None = None  # (v,)
    static_reals: Tensor | None = None  # (v, s)


def count_parameters(model: nn.Module) -> int:
    """Parameters of ``model`` as real scalars: a complex one counts 2."""
    return sum(p.numel() * (2 if p.is_complex() else 1) for p in model.parameters())


class Forecaster(nn.Module):
    """Base of the models: ``forward(batch)`` gives the point forecast (b, H, v) on the scaled axis.

    A quantile model's point forecast is its median; it also has ``quantiles(batch)`` (b, H, v, q) and
    ``quantile_levels``, a tuple of q numbers.
    """

    def loss(self, batch: Batch, target: Tensor) -> Tensor:
        """Training loss, a scalar: the mean squared error against ``target`` (b, H, v)."""
        return functional.mse_loss(self(batch), target)

    def explain(self, batch: Batch) -> dict[str, Tensor]:
        """Named tensors, without gradients, of what the model can show of its inside for ``batch``.

        They belong to the forecast that the model makes in the same mode; put it into evaluation mode first.
        """
        return {}
