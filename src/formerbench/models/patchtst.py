"""PatchTST: A Time Series is Worth 64 Words. https://arxiv.org/abs/2211.14730 (ICLR 2023)"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from formerbench.models.batch import Batch, Forecaster
from formerbench.models.configs import PatchTSTConfig, Shape
from formerbench.models.layers.attention import attend, attention_weights
from formerbench.models.layers.dropout import Dropout
from formerbench.models.layers.normalisation import window_statistics


class PatchTST(Forecaster):
    """Attention over patches of one variate at a time; all variates share the weights.

    Where paper, official code and ports disagree, this follows the official supervised code: batch
    normalisation inside the layers, residual attention scores (RealFormer), learned positions, patches
    padded at the end, no affine in the window normalisation and no gradient through its statistics.
    """

    def __init__(self, shape: Shape, config: PatchTSTConfig):
        super().__init__()
        self.config = config
        n_patches = (shape.lookback - config.patch_len) // config.stride + 2
        self.embedding = nn.Linear(config.patch_len, config.d_model)
        self.position = nn.Parameter(torch.empty(n_patches, config.d_model).uniform_(-0.02, 0.02))
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.head = nn.Linear(config.d_model * n_patches, shape.horizon)

    def forward(self, batch: Batch) -> Tensor:
        b, _, v = batch.past.shape
        mean, sd = window_statistics(batch.past)
        mean, sd = mean.detach(), sd.detach()
        tokens, _ = self.encode((batch.past - mean) / sd)
        forecast = self.head(tokens.reshape(b * v, -1))  # (b v, H)
        return forecast.view(b, v, -1).transpose(1, 2) * sd + mean

    def encode(self, past: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """``past`` (b, L, v) to tokens (b v, n, d) and the queries and keys (b v, h, n, d) of each layer."""
        series = past.transpose(1, 2).flatten(0, 1)  # (b v, L): variates are independent (section 3.1)
        padded = functional.pad(series, (0, self.config.stride), mode="replicate")
        patches = padded.unfold(-1, self.config.patch_len, self.config.stride)  # (b v, n, patch_len)
        tokens = self.dropout(self.embedding(patches) + self.position)
        scored = []
        for layer in self.layers:
            tokens = layer(tokens, scored)
        return tokens, scored

    def explain(self, batch: Batch) -> dict[str, Tensor]:
        """``patch_attention`` (layers, b, v, h, n, n): rows are queries, each sums to 1."""
        b, _, v = batch.past.shape
        mean, sd = window_statistics(batch.past)
        _, scored = self.encode((batch.past - mean) / sd)
        maps = []
        for depth in range(1, len(scored) + 1):
            queries, keys = (torch.cat(parts, dim=-1) for parts in zip(*scored[:depth], strict=True))
            maps.append(attention_weights(queries, keys, scale=1.0).unflatten(0, (b, v)))
        return {"patch_attention": torch.stack(maps)}


class EncoderLayer(nn.Module):
    """Post-norm encoder layer with residual attention scores and batch normalisation over features."""

    def __init__(self, config: PatchTSTConfig):
        super().__init__()
        d = config.d_model
        self.n_heads = config.n_heads
        self.fused = config.attention == "fused"
        self.project = nn.Linear(d, 3 * d)  # queries, keys, values
        self.out = nn.Linear(d, d)
        # A parameter that is not trained, as in the official code, so that sizes agree to the last one.
        self.scale = nn.Parameter(torch.tensor((d // config.n_heads) ** -0.5), requires_grad=False)
        self.norm_attention = nn.BatchNorm1d(d)
        self.feed_forward = nn.Sequential(
            nn.Linear(d, config.d_ff), nn.GELU(), Dropout(config.dropout), nn.Linear(config.d_ff, d)
        )
        self.norm_feed_forward = nn.BatchNorm1d(d)
        self.dropout = Dropout(config.dropout)

    def forward(self, tokens: Tensor, scored: list[tuple[Tensor, Tensor]]) -> Tensor:
        """``tokens`` (b, n, d) to the same shape; appends this layer's queries and keys to ``scored``."""
        tokens = self._normalise(self.norm_attention, tokens + self.dropout(self._attention(tokens, scored)))
        return self._normalise(self.norm_feed_forward, tokens + self.dropout(self.feed_forward(tokens)))

    def _attention(self, tokens: Tensor, scored: list[tuple[Tensor, Tensor]]) -> Tensor:
        heads = self.project(tokens).unflatten(-1, (3, self.n_heads, -1))  # (b, n, 3, h, d)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)  # each (b, h, n, d)
        scored.append((queries * self.scale, keys))
        # A layer's scores are the sum of q k^T over all layers so far (RealFormer), which is one product
        # of the concatenated queries and keys: exact, and the fused kernel stays possible.
        all_queries, all_keys = (torch.cat(parts, dim=-1) for parts in zip(*scored, strict=True))
        mixed = attend(all_queries, all_keys, values, scale=1.0, fused=self.fused)
        return self.out(mixed.transpose(1, 2).flatten(2))

    @staticmethod
    def _normalise(norm: nn.BatchNorm1d, tokens: Tensor) -> Tensor:
        return norm(tokens.flatten(0, 1)).view_as(tokens)  # statistics over batch and patches
