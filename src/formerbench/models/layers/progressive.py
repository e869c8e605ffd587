"""Progressive decomposition: the architecture that Autoformer and FEDformer share.

Autoformer section 3.1 (https://arxiv.org/abs/2106.13008). Seasonal parts pass through the layers; the trends
that the decompositions take out are added up beside them.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from formerbench.models.batch import Batch, Forecaster
from formerbench.models.configs import DecoderConfig, Shape
from formerbench.models.layers.checkpointing import call
from formerbench.models.layers.dropout import Dropout
from formerbench.models.layers.embedding import TimeStepEmbedding
from formerbench.models.layers.feed_forward import feed_forward


class ProgressiveDecomposition(Forecaster):
    """Encoder and decoder around given kinds of attention and decomposition.

    Args:
        encoder_attention, decoder_attention, cross_attention: make the attention of one layer, a module that
            maps two series (b, t, d) and (b, s, d) to (b, t, d).
        decomposition: makes a module that splits (b, t, d) into seasonal part and trend.
    """

    def __init__(
        self,
        shape: Shape,
        config: DecoderConfig,
        *,
        encoder_attention: Callable[[], nn.Module],
        decoder_attention: Callable[[], nn.Module],
        cross_attention: Callable[[], nn.Module],
        decomposition: Callable[[], nn.Module],
    ):
        super().__init__()
        self.config, self.horizon = config, shape.horizon
        v, f, d = shape.n_variates, shape.n_marks, config.d_model
        self.decomposition = decomposition()
        self.encoder_embedding = TimeStepEmbedding(v, f, d, dropout=config.dropout)
        self.encoder = nn.ModuleList(
            EncoderLayer(config, encoder_attention(), decomposition) for _ in range(config.layers)
        )
        self.encoder_norm = SeasonalNorm(d)
        self.decoder_embedding = TimeStepEmbedding(v, f, d, dropout=config.dropout)
        self.decoder = nn.ModuleList(
            DecoderLayer(config, v, decoder_attention(), cross_attention(), decomposition)
            for _ in range(config.decoder_layers)
        )
        self.decoder_norm = SeasonalNorm(d)
        self.head = nn.Linear(d, v)

    def forward(self, batch: Batch) -> Tensor:
        return sum(self.parts(batch))

    def parts(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Seasonal part and trend of the forecast, each (b, H, v); the forecast is their sum."""
        recompute, label_len = self.config.checkpoint, self.config.label_len
        tokens = self.encoder_embedding(batch.past, batch.past_marks)
        for layer in self.encoder:
            tokens = call(layer, tokens, recompute=recompute)
        source = self.encoder_norm(tokens)

        seasonal, trend = self.decomposition(batch.past)
        # The decoder starts from the end of the lookback, its season with zeros and its trend with the mean.
        seasonal = nn.functional.pad(seasonal[:, -label_len:], (0, 0, 0, self.horizon))
        mean = batch.past.mean(dim=1, keepdim=True).expand(-1, self.horizon, -1)
        trend = torch.cat([trend[:, -label_len:], mean], dim=1)  # (b, label_len + H, v)
        marks = torch.cat([batch.past_marks[:, -label_len:], batch.future_marks], dim=1)
        tokens = self.decoder_embedding(seasonal, marks)
        for layer in self.decoder:
            tokens, taken_out = call(layer, tokens, source, recompute=recompute)
            trend = trend + taken_out
        seasonal = self.head(self.decoder_norm(tokens))
        return seasonal[:, -self.horizon :], trend[:, -self.horizon :]

    @torch.no_grad()
    def explain(self, batch: Batch) -> dict[str, Tensor]:
        """``seasonal`` and ``trend`` (b, H, v), which add up to the forecast."""
        return dict(zip(("seasonal", "trend"), self.parts(batch), strict=True))


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each followed by a decomposition that keeps the seasonal part (eq. 3)."""

    def __init__(self, config: DecoderConfig, attention: nn.Module, decomposition: Callable[[], nn.Module]):
        super().__init__()
        self.attention = attention
        self.feed_forward = feed_forward(config.d_model, config.d_ff, dropout=config.dropout, bias=False)
        self.decompositions = nn.ModuleList(decomposition() for _ in range(2))
        self.dropout = Dropout(config.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """``tokens`` (b, t, d) to the same shape."""
        first, second = self.decompositions
        tokens, _ = first(tokens + self.dropout(self.attention(tokens, tokens)))
        tokens, _ = second(tokens + self.feed_forward(tokens))
        return tokens


class DecoderLayer(nn.Module):
    """Self attention, attention to the encoder and feed-forward, the trends taken out on the way (eq. 4)."""

    def __init__(
        self,
        config: DecoderConfig,
        n_variates: int,
        attention: nn.Module,
        cross_attention: nn.Module,
        decomposition: Callable[[], nn.Module],
    ):
        super().__init__()
        self.attention, self.cross_attention = attention, cross_attention
        self.feed_forward = feed_forward(config.d_model, config.d_ff, dropout=config.dropout, bias=False)
        self.decompositions = nn.ModuleList(decomposition() for _ in range(3))
        self.dropout = Dropout(config.dropout)
        self.trend = nn.Linear(3 * config.d_model, n_variates, bias=False)

    def forward(self, tokens: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """``tokens`` (b, t, d) and the encoder's (b, s, d) to tokens (b, t, d) and trend (b, t, v)."""
        first, second, third = self.decompositions
        tokens, trend = first(tokens + self.dropout(self.attention(tokens, tokens)))
        tokens, more = second(tokens + self.dropout(self.cross_attention(tokens, source)))
        trend = trend + more
        tokens, more = third(tokens + self.feed_forward(tokens))
        return tokens, self._project(trend + more)

    def _project(self, trend: Tensor) -> Tensor:
        """Circular convolution of width 3 to the variates, multiplied out before it is shifted."""
        before, here, after = (trend @ self._taps()).chunk(3, dim=-1)  # each (b, t, v)
        return before.roll(1, dims=1) + here + after.roll(-1, dims=1)

    def _taps(self) -> Tensor:
        """The convolution's weights as (d, 3 v)."""
        return torch.cat(self.trend.weight.T.chunk(3), dim=1)


class SeasonalNorm(nn.LayerNorm):
    """Layer norm less its mean over time, as in the official code; so the bias, kept for size, cancels."""

    def forward(self, tokens: Tensor) -> Tensor:
        """``tokens`` (b, t, d) to the same shape."""
        normed = super().forward(tokens)
        return normed - normed.mean(dim=1, keepdim=True)
