"""iTransformer: Inverted Transformers Are Effective for Time Series Forecasting.

https://arxiv.org/abs/2310.06625 (ICLR 2024)
"""

import torch
from torch import Tensor, nn

from formerbench.models.batch import Batch, Forecaster
from formerbench.models.configs import ITransformerConfig, Shape
from formerbench.models.layers.attention import attend, attention_weights
from formerbench.models.layers.checkpointing import call
from formerbench.models.layers.dropout import Dropout
from formerbench.models.layers.feed_forward import feed_forward
from formerbench.models.layers.normalisation import window_statistics
from formerbench.models.layers.recording import inputs_of


class ITransformer(Forecaster):
    """One token per variate holds its whole lookback; attention runs between variates.

    As in the official code the time marks are further tokens, cut off at the end, and gradients flow
    through the window's standard deviation but not through its mean. Variates are a set: no positions.
    """

    def __init__(self, shape: Shape, config: ITransformerConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Linear(shape.lookback, config.d_model)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.d_model)
        self.head = nn.Linear(config.d_model, shape.horizon)

    def forward(self, batch: Batch) -> Tensor:
        mean, sd = window_statistics(batch.past) if self.config.normalise else (0, 1)
        tokens = self.embed((batch.past - mean).div_(sd), batch.past_marks)
        for layer in self.layers:
            tokens = call(layer, tokens, recompute=self.config.checkpoint)
        forecast = self.head(self.norm(tokens[:, : batch.past.shape[-1]])).transpose(1, 2)  # (b, H, v)
        return forecast * sd + mean

    def embed(self, past: Tensor, marks: Tensor) -> Tensor:
        """Tokens (b, v + f, d) of the variates and the time marks (section 3.1)."""
        inputs = torch.cat([past, marks], dim=-1) if marks.shape[-1] else past
        return self.dropout(self.embedding(inputs.transpose(1, 2)))

    @torch.no_grad()
    def explain(self, batch: Batch) -> dict[str, Tensor]:
        """``variate_attention`` (layers, b, h, v + f, v + f): rows are queries, each sums to 1."""
        maps = []
        given = inputs_of(self.layers, lambda: self.forward(batch))
        for layer, (tokens,) in zip(self.layers, given, strict=True):
            queries, keys, _ = layer.heads(tokens)
            maps.append(attention_weights(queries * layer.scale, keys))
        return {"variate_attention": torch.stack(maps)}


class VariateAttention(nn.Module):
    """Attention between variates (section 3.2).

    Args:
        dropout: share of the weights set to zero in training.
    """

    def __init__(self, d_model: int, n_heads: int, *, fused: bool, dropout: float):
        super().__init__()
        self.n_heads, self.fused = n_heads, fused
        self.weight_dropout = dropout
        self.scale = (d_model // n_heads) ** -0.5
        self.project = nn.Linear(d_model, 3 * d_model)  # queries, keys, values
        self.out = nn.Linear(d_model, d_model)

    def heads(self, tokens: Tensor) -> Tensor:
        """``tokens`` (b, v, d) to queries, keys and values, stacked (3, b, h, v, d)."""
        return self.project(tokens).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        """``tokens`` (b, v, d) to the same shape."""
        queries, keys, values = self.heads(tokens)
        mixed = attend(
            queries,
            keys,
            values,
            scale=self.scale,
            fused=self.fused,
            dropout=self.weight_dropout if self.training else 0.0,
        )
        return self.out(mixed.transpose(1, 2).flatten(2))


class EncoderLayer(VariateAttention):
    """Post-norm encoder layer: attention between variates, then a feed-forward over each series."""

    def __init__(self, config: ITransformerConfig):
        d = config.d_model
        super().__init__(d, config.n_heads, fused=config.attention == "fused", dropout=config.dropout)
        self.norm_attention = nn.LayerNorm(d)
        self.feed_forward = feed_forward(d, config.d_ff, dropout=config.dropout)
        self.norm_feed_forward = nn.LayerNorm(d)
        self.dropout = Dropout(config.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """``tokens`` (b, v, d) to the same shape."""
        tokens = self.norm_attention(tokens + self.dropout(super().forward(tokens)))
        return self.norm_feed_forward(tokens + self.feed_forward(tokens))
