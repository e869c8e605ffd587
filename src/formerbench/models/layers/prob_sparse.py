"""ProbSparse attention: full attention for the queries that need it, an average for the others.

Informer section 3.2, https://arxiv.org/abs/2012.07436. Where paper and official code disagree, this follows
the code: the sum in the sparsity measurement is divided by all keys rather than by the sampled ones, and
under a causal mask the lazy queries get the sum, not the mean, of the values so far.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

# Elements of sampled keys laid out at a time: what a core's cache holds, or what keeps a GPU busy.
_BLOCK, _GPU_BLOCK = 2**19, 2**25


def share(factor: int, length: int) -> int:
    """``factor * ceil(ln length)``, at least 1 and at most ``length``: how many keys or queries are taken."""
    return max(1, min(length, factor * math.ceil(math.log(length))))


def select_queries(queries: Tensor, keys: Tensor, factor: int, *, redraw: bool) -> tuple[Tensor, Tensor]:
    """The queries whose attention is least like a uniform one, for each sample and head.

    Args:
        queries: (b, t, h, d).
        keys: (b, s, h, d).
        factor: see :func:`share`.
        redraw: draw the sampled keys from torch's global generator; otherwise they are the same at each call.

    Returns:
        Positions (b, h, u) of the selected queries and the sparsity measurement (b, h, t) of all.
    """
    with torch.no_grad():  # the measurement only chooses
        t, s = queries.shape[1], keys.shape[1]
        sampled = sampled_keys(t, s, share(factor, s), redraw=redraw, device=queries.device)
        measured = sparsity(queries, keys, sampled)
        return measured.topk(share(factor, t), dim=-1).indices, measured


def sampled_keys(n_queries: int, n_keys: int, samples: int, *, redraw: bool, device: torch.device) -> Tensor:
    """Positions (n_queries, samples) of keys, drawn with replacement; all samples and heads share them."""
    shape = (n_queries, samples)
    if redraw:
        return torch.randint(n_keys, shape, device=device)
    # A forecast must not depend on what was drawn before it, nor on the device. An integer hash of the place
    # is such a draw, and unlike a seeded generator it can be compiled.
    bits = torch.arange(n_queries * samples, device=device) + 1
    for multiplier in (0x7FEB352D, 0x45D9F3B):
        bits = ((bits ^ (bits >> 16)) * multiplier) & 0x7FFFFFFF
    return ((bits ^ (bits >> 15)) % n_keys).view(shape)


def sparsity(queries: Tensor, keys: Tensor, sampled: Tensor) -> Tensor:
    """Max-mean measurement (b, h, t) of section 3.2, eq. 4, over the ``sampled`` (t, n) keys of each query.

    The scores are unscaled. Sampled keys are laid out for a block of queries at a time, never all
    (b, t, n, h, d) of them.
    """
    b, t, h, d = queries.shape
    s, n = keys.shape[1], sampled.shape[1]
    rows = keys.flatten(2).contiguous()  # (b, s, h d): one sampled key of all heads is one copy
    limit = _BLOCK if queries.device.type == "cpu" else _GPU_BLOCK
    if torch.compiler.is_compiling():
        limit = b * t * n * h * d  # generated code lays nothing out, and blocks would be unrolled
    n_samples = min(b, max(1, limit // (t * n * h * d)))
    n_queries = min(t, max(1, limit // (n_samples * n * h * d)))
    measured = []
    for q_part, k_part in zip(queries.split(n_samples), rows.split(n_samples), strict=True):
        blocks = []
        for q_block, places in zip(q_part.split(n_queries, 1), sampled.split(n_queries), strict=True):
            laid_out = k_part.index_select(1, places.flatten()).unflatten(1, places.shape)
            scores = laid_out.unflatten(-1, (h, d)).mul_(q_block.unsqueeze(2)).sum(-1)  # (b, t, n, h)
            blocks.append(scores.amax(2) - scores.sum(2) / s)
        measured.append(torch.cat(blocks, dim=1))
    return torch.cat(measured).transpose(1, 2)


def prob_sparse_attention(
    queries: Tensor, keys: Tensor, values: Tensor, positions: Tensor, *, scale: float, causal: bool
) -> Tensor:
    """Attention (b, t, h, d) where only the queries at ``positions`` (b, h, u) attend to the keys.

    Args:
        queries: (b, t, h, d).
        keys, values: (b, s, h, d).
        scale: factor of the scores.
        causal: a query t attends to the keys s <= t only, and t = s.
    """
    b, t, h, _ = queries.shape
    places = (
        torch.arange(b, device=queries.device)[:, None, None],
        positions.transpose(1, 2),  # (b, u, h)
        torch.arange(h, device=queries.device),
    )
    # The rows of the triangular mask that belong to the selected queries.
    mask = positions.unsqueeze(-1) >= torch.arange(keys.shape[1], device=keys.device) if causal else None
    attended = functional.scaled_dot_product_attention(
        queries[places].transpose(1, 2),
        keys.transpose(1, 2),
        values.transpose(1, 2),
        attn_mask=mask,
        scale=scale,
    )  # (b, h, u, d)
    exact = torch.promote_types(values.dtype, torch.float32)
    if causal:
        lazy = values.cumsum(dim=1, dtype=exact).to(values.dtype)
    else:
        # Not expand: torch's generated code would then write the selected rows to all steps.
        lazy = values.mean(dim=1, keepdim=True, dtype=exact).to(values.dtype).repeat(1, t, 1, 1)
    return lazy.index_put_(places, attended.transpose(1, 2).to(values.dtype))
