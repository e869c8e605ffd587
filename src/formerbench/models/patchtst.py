"""PatchTST: A Time Series is Worth 64 Words. https://arxiv.org/abs/2211.14730 (ICLR 2023)"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from formerbench.models.batch import Batch, Forecaster
from formerbench.models.configs import PatchTSTConfig, Shape
from formerbench.models.layers.attention import attend
from formerbench.models.layers.checkpointing import call
from formerbench.models.layers.dropout import Dropout
from formerbench.models.layers.feed_forward import feed_forward
from formerbench.models.layers.normalisation import window_statistics


class PatchTST(Forecaster):
    """Attention over patches of one variate at a time; all variates share the weights.

    Where paper, official code and ports disagree, this follows the official supervised code: batch
    normalisation inside the layers, residual attention scores (RealFormer), learned positions, patches
    padded at the end, no affine in the window normalisation and no gradient through its statistics, and two
    dropouts in a row on the attention's output.
    """

    def __init__(self, shape: Shape, config: PatchTSTConfig):
        super().__init__()
        self.config = config
        n_patches = count_patches(shape.lookback, config.patch_len, config.stride)
        self.embedding = nn.Linear(config.patch_len, config.d_model)
        self.position = nn.Parameter(torch.empty(n_patches, config.d_model).uniform_(-0.02, 0.02))
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.head = nn.Linear(config.d_model * n_patches, shape.horizon)

    def forward(self, batch: Batch) -> Tensor:
        b, _, v = batch.past.shape
        mean, sd = window_statistics(batch.past)
        mean, sd = mean.detach(), sd.detach()
        tokens, _ = self.encode((batch.past - mean).div_(sd))
        forecast = self.head(tokens.reshape(b * v, -1))  # (b v, H)
        return forecast.view(b, v, -1).transpose(1, 2) * sd + mean

    def encode(self, past: Tensor) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
        """``past`` (b, L, v) to tokens (b v, n, d), and what :func:`scores_of` takes of each layer."""
        patches = patches_of(past, self.config.patch_len, self.config.stride)
        tokens = self.dropout(self.embedding(patches) + self.position)
        scored, earlier = [], ()
        for layer in self.layers:
            tokens, *earlier = call(layer, tokens, *earlier, recompute=self.config.checkpoint)
            scored.append(earlier)
        return tokens, scored

    @torch.no_grad()
    def explain(self, batch: Batch) -> dict[str, Tensor]:
        """``patch_attention`` (layers, b, v, h, n, n): rows are queries, each sums to 1."""
        b, _, v = batch.past.shape
        mean, sd = window_statistics(batch.past)
        _, scored = self.encode((batch.past - mean) / sd)
        maps = [torch.softmax(scores_of(*parts), dim=-1) for parts in scored]
        return {"patch_attention": torch.stack(maps).unflatten(1, (b, v))}


def count_patches(lookback: int, patch_len: int, stride: int) -> int:
    """Patches of one variate, the padded one at the end included."""
    return (lookback - patch_len) // stride + 2


def patches_of(past: Tensor, patch_len: int, stride: int) -> Tensor:
    """``past`` (b, L, v) to patches (b v, n, patch_len), the last value repeated ``stride`` times."""
    series = past.transpose(1, 2).flatten(0, 1)  # (b v, L): variates are independent (section 3.1)
    return functional.pad(series, (0, stride), mode="replicate").unfold(-1, patch_len, stride)


class PatchAttention(nn.Module):
    """Attention between patches with residual scores.

    A layer's scores are the sum of q k^T over all layers so far (RealFormer). Fused attention takes them as
    one product of the queries and keys of those layers side by side, which is exact; materialised attention
    adds them up.
    """

    def __init__(self, d_model: int, n_heads: int, *, fused: bool):
        super().__init__()
        self.n_heads, self.fused = n_heads, fused
        self.project = nn.Linear(d_model, 3 * d_model)  # queries, keys, values
        self.out = nn.Linear(d_model, d_model)
        # A parameter that is not trained, as in the official code, so that sizes agree to the last one.
        self.scale = nn.Parameter(torch.tensor((d_model // n_heads) ** -0.5), requires_grad=False)

    def forward(self, tokens: Tensor, *earlier: Tensor) -> tuple[Tensor, ...]:
        """``tokens`` (b, n, d) to the same shape, and what :func:`scores_of` takes, ``earlier`` included.

        That is queries and keys (b, h, n, d) of all layers so far, or scores (b, h, n, n).
        """
        heads = self.project(tokens).unflatten(-1, (3, self.n_heads, -1))  # (b, n, 3, h, d)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)  # each (b, h, n, d)
        queries = queries * self.scale
        if self.fused:
            if earlier:
                queries, keys = (
                    torch.cat(both, dim=-1) for both in zip(earlier, (queries, keys), strict=True)
                )
            mixed = attend(queries, keys, values, scale=1.0, fused=True)
            scored = queries, keys
        else:
            scores = scores_of(queries, keys) + sum(earlier)
            mixed = torch.softmax(scores, dim=-1) @ values
            scored = (scores,)
        return self.out(mixed.transpose(1, 2).flatten(2)), *scored


class EncoderLayer(PatchAttention):
    """Post-norm encoder layer: attention between patches, feed-forward, batch normalisation over features."""

    def __init__(self, config: PatchTSTConfig):
        d = config.d_model
        super().__init__(d, config.n_heads, fused=config.attention == "fused")
        self.norm_attention = nn.BatchNorm1d(d)
        self.feed_forward = feed_forward(d, config.d_ff, dropout=config.dropout)
        self.norm_feed_forward = nn.BatchNorm1d(d)
        self.dropout = Dropout(1 - (1 - config.dropout) ** 2)  # two in a row are one

    def forward(self, tokens: Tensor, *earlier: Tensor) -> tuple[Tensor, ...]:
        """As :class:`PatchAttention`: new tokens, and what :func:`scores_of` takes."""
        attended, *scored = super().forward(tokens, *earlier)
        tokens = self._normalise(self.norm_attention, tokens + self.dropout(attended))
        tokens = self._normalise(self.norm_feed_forward, tokens + self.feed_forward(tokens))
        return tokens, *scored

    @staticmethod
    def _normalise(norm: nn.BatchNorm1d, tokens: Tensor) -> Tensor:
        return norm(tokens.flatten(0, 1)).view_as(tokens)  # statistics over batch and patches


def scores_of(*parts: Tensor) -> Tensor:
    """Scores (b, h, n, n) from scaled queries and keys (b, h, n, d); scores themselves stay what they are."""
    if len(parts) == 1:
        return parts[0]
    queries, keys = parts
    return queries @ keys.transpose(-2, -1)
