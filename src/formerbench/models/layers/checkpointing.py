"""Gradient checkpointing: keep a layer's inputs only, and compute its inside again in the backward pass."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def call(layer: nn.Module, *inputs, recompute: bool):
    """``layer(*inputs)``; with ``recompute`` its activations are not kept for the backward pass.

    Costs one more forward pass of the layer in training and changes no number: random numbers are drawn
    again from the same state, and batch statistics are taken over once.
    """
    if not (recompute and torch.is_grad_enabled()):
        return layer(*inputs)
    contexts = lambda: (nullcontext(), _frozen_statistics(layer))  # noqa: E731
    return checkpoint(layer, *inputs, use_reentrant=False, context_fn=contexts)


@contextmanager
def _frozen_statistics(layer: nn.Module) -> Iterator[None]:
    """Keep the running statistics of batch norms as they are."""
    norms = [m for m in layer.modules() if isinstance(m, nn.BatchNorm1d) and m.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked -= 1
