"""One training step, the same where a model is trained and where it is measured."""

import torch
from torch import Tensor

from formerbench.models.batch import Batch, Forecaster

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: str, precision: str) -> torch.autocast:
    """Context in which a model computes at ``precision`` on ``device``; fp32 changes nothing."""
    return torch.autocast(device, dtype=AUTOCAST.get(precision), enabled=precision in AUTOCAST)


class TrainingStep:
    """zero_grad, forward, loss, backward, Adam; with fp16 the loss is scaled.

    Attributes:
        optimizer: Adam over the parameters that are trained.
        scaler: of the loss; does nothing but with fp16.
    """

    def __init__(
        self,
        model: Forecaster,
        *,
        device: str,
        precision: str,
        learning_rate: float,
        max_grad_norm: float | None = None,
    ):
        self.model, self.device, self.precision, self.max_grad_norm = model, device, precision, max_grad_norm
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=learning_rate, fused=True)
        self.scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")

    def __call__(self, batch: Batch, target: Tensor) -> Tensor:
        """Take the step; the loss before it, a scalar without gradient."""
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.device, self.precision):
            loss = self.model.loss(batch, target)
        self.scaler.scale(loss).backward()
        if self.max_grad_norm is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.max_grad_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()
