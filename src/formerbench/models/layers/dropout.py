"""Dropout that does not dominate a training step on the CPU."""

import torch
from torch import Tensor, nn
from torch.nn import functional

_LEVELS = 2**16
_FEW = 2**14


class Dropout(nn.Module):
    """Set a share ``p`` of elements to zero and scale the rest by 1 / (1 - p), in training only."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, values: Tensor) -> Tensor:
        return dropout(values, self.p) if self.training else values

    def extra_repr(self) -> str:
        return f"p={self.p}"


def dropout(values: Tensor, p: float) -> Tensor:
    """``values`` with a share ``p`` of elements set to zero and the rest scaled by 1 / (1 - p).

    On the CPU torch draws one 64-bit random number an element, in one thread, which took a third of a
    PatchTST step. Here one such number serves four elements of 16 bits each, so ``p`` is rounded to a
    multiple of 2**-16; the scale uses the rounded value. Other devices, compiled models and small tensors,
    where one call costs less than several, take torch's own way.
    """
    if round(p * _LEVELS) == 0:
        return values
    if values.device.type != "cpu" or values.numel() < _FEW or torch.compiler.is_compiling():
        return functional.dropout(values, p)
    return _Masked.apply(values, kept_elements(values.shape, p), kept_scale(p))


def kept_elements(shape: torch.Size, p: float, generator: torch.Generator | None = None) -> Tensor:
    """Boolean CPU tensor, false for the share ``p`` that is dropped; drawn from torch's global generator."""
    n = shape.numel()
    random = torch.empty((n + 3) // 4, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    return (random.view(torch.int16)[:n] >= round(p * _LEVELS) - _LEVELS // 2).view(shape)


def kept_scale(p: float) -> float:
    """The factor of what :func:`kept_elements` keeps."""
    return _LEVELS / (_LEVELS - round(p * _LEVELS))


class _Masked(torch.autograd.Function):
    """``values * kept * scale``, keeping one byte an element for the backward pass instead of four."""

    @staticmethod
    def forward(values: Tensor, kept: Tensor, scale: float) -> Tensor:
        return kept.to(values.dtype).mul_(scale).mul_(values)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        _, kept, ctx.scale = inputs
        ctx.save_for_backward(kept)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (kept,) = ctx.saved_tensors
        return kept.to(gradient.dtype).mul_(ctx.scale).mul_(gradient), None, None
