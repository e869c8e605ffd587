"""Attention with dropout of its weights in linear memory, for the CPU, whose fused kernel has no dropout."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from formerbench.models.layers.dropout import kept_elements, kept_scale

_BLOCK = 2**19  # weights at a time: what a core's cache holds


def blockwise_attention(
    queries: Tensor, keys: Tensor, values: Tensor, *, scale: float, dropout: float, mask: Tensor | None
) -> Tensor:
    """As :func:`~.attention.attend`, with a block of the weights at a time, also in the backward pass.

    FlashAttention, algorithms 2 and 4 (https://arxiv.org/abs/2205.14135), but that a block has all keys of
    its queries. The backward pass computes the weights again, and draws their dropout again from the same
    seed, instead of keeping either.
    """
    seed = int(torch.randint(2**62, ()))
    flat = (x.flatten(0, -3) for x in (queries, keys, values))
    out, _ = _Blockwise.apply(*flat, mask, scale, dropout, seed)
    return out.view(*queries.shape[:-1], values.shape[-1])


class _Blockwise(torch.autograd.Function):
    """Queries (n, t, d), keys (n, s, d) and values (n, s, d_v) to (n, t, d_v) and the log of exp's sums."""

    @staticmethod
    @torch.autocast("cpu", enabled=False)
    def forward(queries, keys, values, mask, scale, dropout, seed) -> tuple[Tensor, Tensor]:
        out = queries.new_empty(*queries.shape[:-1], values.shape[-1])
        log_sums = queries.new_empty(queries.shape[:-1], dtype=_exact(queries))
        generator, rescale = torch.Generator().manual_seed(seed), kept_scale(dropout)
        for n, t in _blocks(queries, keys):
            weights = _scores(queries[n, t], keys[n], None if mask is None else mask[t], scale)
            highest = weights.amax(dim=-1, keepdim=True)
            sums = weights.sub_(highest).exp_().sum(dim=-1, keepdim=True)
            log_sums[n, t] = (highest + sums.log()).squeeze(-1)
            weights.mul_(kept_elements(weights.shape, dropout, generator))
            out[n, t] = (weights @ values[n].to(weights.dtype)).mul_(rescale / sums)
        return out, log_sums

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        *tensors, ctx.scale, ctx.dropout, ctx.seed = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*tensors, *output)

    @staticmethod
    @once_differentiable
    @torch.autocast("cpu", enabled=False)
    def backward(ctx, gradient, _):
        queries, keys, values, mask, out, log_sums = ctx.saved_tensors
        exact, rescale = log_sums.dtype, kept_scale(ctx.dropout)
        d_queries = torch.empty_like(queries)
        d_keys, d_values = (torch.zeros_like(x, dtype=exact) for x in (keys, values))
        generator = torch.Generator().manual_seed(ctx.seed)
        for n, t in _blocks(queries, keys):
            given = gradient[n, t].to(exact) * rescale
            along = (given * out[n, t]).sum(dim=-1, keepdim=True) / rescale
            weights = _scores(queries[n, t], keys[n], None if mask is None else mask[t], ctx.scale)
            weights.sub_(log_sums[n, t].unsqueeze(-1)).exp_()
            kept = kept_elements(weights.shape, ctx.dropout, generator)
            d_scores = (given @ values[n].to(exact).mT).mul_(kept).sub_(along).mul_(weights)
            d_values[n] += weights.mul_(kept).mT @ given
            d_keys[n] += d_scores.mT @ (queries[n, t].to(exact) * ctx.scale)
            d_queries[n, t] = (d_scores @ keys[n].to(exact)).mul_(ctx.scale)
        return d_queries, d_keys.to(keys.dtype), d_values.to(values.dtype), None, None, None, None


def _scores(queries: Tensor, keys: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    exact = _exact(queries)
    scores = (queries.to(exact) * scale) @ keys.to(exact).mT
    return scores if mask is None else scores.masked_fill_(~mask, -math.inf)


def _exact(like: Tensor) -> torch.dtype:
    return torch.promote_types(like.dtype, torch.float32)


def _blocks(queries: Tensor, keys: Tensor) -> Iterator[tuple[slice, slice]]:
    """Parts of n and of t whose weights are about ``_BLOCK``: several n with all queries, or parts of one."""
    (n, t, _), s = queries.shape, keys.shape[1]
    at_once = max(1, _BLOCK // (t * s))
    step = t if at_once > 1 else max(1, _BLOCK // s)
    for i in range(0, n, at_once):
        for j in range(0, t, step):
            yield slice(i, i + at_once), slice(j, j + step)
