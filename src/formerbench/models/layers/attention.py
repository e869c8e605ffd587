"""Scaled dot-product attention, fused or with its weights at hand."""

import torch
from torch import Tensor
from torch.nn import functional

from formerbench.models.layers.blockwise_attention import blockwise_attention
from formerbench.models.layers.dropout import dropout as drop

_FEW = 2**23  # weights that take less time to form at once than by blocks


def attention_weights(queries: Tensor, keys: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(q k^T): scaled ``queries`` (..., t, d) and ``keys`` (..., s, d) to (..., t, s).

    A query gives no weight to keys where the boolean ``mask`` (..., t, s) is false.
    """
    scores = queries @ keys.transpose(-2, -1)
    return torch.softmax(scores if mask is None else scores.masked_fill(~mask, -torch.inf), dim=-1)


def causal_mask(n_queries: int, n_keys: int, device: torch.device) -> Tensor:
    """Boolean (t, s), true where the last t of s steps may look: at themselves and before."""
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril(n_keys - n_queries)


def attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    scale: float,
    fused: bool,
    dropout: float = 0.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Attention output (..., t, d_v) for queries (..., t, d), keys (..., s, d), values (..., s, d_v).

    Args:
        scale: factor of the scores.
        fused: use the fused kernel, which never forms the (..., t, s) weights.
        dropout: share of weights set to zero; 0 outside training. On the CPU, whose fused kernel has none,
            few weights are then formed even if ``fused``, and so are those of compiled models.
        mask: boolean (t, s), true where a query may look at a key.
    """
    # The fused CPU kernel has no dropout: asked for it, it would form the weights as well, only slower.
    if not fused or (dropout > 0 and queries.device.type == "cpu"):
        n_weights = queries.shape[:-1].numel() * keys.shape[-2]
        if fused and not torch.compiler.is_compiling() and n_weights > _FEW:
            return blockwise_attention(queries, keys, values, scale=scale, dropout=dropout, mask=mask)
        return drop(attention_weights(queries * scale, keys, mask), dropout) @ values
    # The fused CPU kernel needs equal widths of q, k and v and otherwise silently takes the quadratic path.
    width = queries.shape[-1]
    padded = functional.pad(values, (0, width - values.shape[-1])) if values.shape[-1] < width else values
    out = functional.scaled_dot_product_attention(
        queries, keys, padded, attn_mask=mask, dropout_p=dropout, scale=scale
    )
    return out[..., : values.shape[-1]]
