"""Informer: Beyond Efficient Transformer for Long Sequence Time-Series Forecasting.

https://arxiv.org/abs/2012.07436 (AAAI 2021)
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from formerbench.models.batch import Batch, Forecaster
from formerbench.models.configs import InformerConfig, Shape
from formerbench.models.layers.attention import attend, attention_weights, causal_mask
from formerbench.models.layers.checkpointing import call
from formerbench.models.layers.dropout import Dropout
from formerbench.models.layers.embedding import TimeStepEmbedding
from formerbench.models.layers.feed_forward import feed_forward
from formerbench.models.layers.prob_sparse import prob_sparse_attention, select_queries
from formerbench.models.layers.recording import inputs_of


class Informer(Forecaster):
    """ProbSparse attention, an encoder that halves its length, and a decoder that answers in one pass.

    Where paper, official code and ports disagree, this follows the code that ``variant`` names. Unlike both,
    the keys that ProbSparse attention samples are drawn anew in training only, so that a forecast is the
    same each time.
    """

    def __init__(self, shape: Shape, config: InformerConfig):
        super().__init__()
        self.config, self.horizon = config, shape.horizon
        d = config.d_model
        self.encoder_embedding = _embedding(shape, config)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        distilled = config.layers - 1 if config.distil else 0
        self.distil = nn.ModuleList(Distil(d, wide=config.variant == "thuml") for _ in range(distilled))
        self.encoder_norm = nn.LayerNorm(d)
        self.decoder_embedding = _embedding(shape, config)
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.decoder_norm = nn.LayerNorm(d)
        self.head = nn.Linear(d, shape.n_variates)

    def forward(self, batch: Batch) -> Tensor:
        recompute, label_len = self.config.checkpoint, self.config.label_len
        tokens = self.encoder_embedding(batch.past, batch.past_marks)
        for depth, layer in enumerate(self.encoder):
            tokens = self._distilled(call(layer, tokens, recompute=recompute), depth)
        source = self.encoder_norm(tokens)

        # Generative decoder (section 3.4): the end of the lookback, then zeros in place of the forecast.
        start = functional.pad(batch.past[:, -label_len:], (0, 0, 0, self.horizon))
        marks = torch.cat([batch.past_marks[:, -label_len:], batch.future_marks], dim=1)
        tokens = self.decoder_embedding(start, marks)  # (b, label_len + H, d)
        for layer in self.decoder[:-1]:
            tokens = call(layer, tokens, source, label_len + self.horizon, recompute=recompute)
        tokens = call(self.decoder[-1], tokens, source, self.horizon, recompute=recompute)
        return self.head(self.decoder_norm(tokens))

    def _distilled(self, tokens: Tensor, depth: int) -> Tensor:
        """What the layer after layer ``depth`` gets of ``tokens`` (b, t, d)."""
        if depth >= len(self.distil):
            return tokens
        return call(self.distil[depth], tokens, recompute=self.config.checkpoint)

    @torch.no_grad()
    def explain(self, batch: Batch) -> dict[str, Tensor]:
        """What the attention of each encoder layer looks at, the layers numbered from 0.

        ProbSparse attention: ``selected_queries_0`` (b, h, u), the time steps whose queries attend, the most
        peaked one first, and ``sparsity_0`` (b, h, t), the measurement that selects them. Full attention:
        ``attention_0`` (b, h, t, t), whose rows are queries and sum to 1.
        """
        shown = {}
        given = inputs_of(self.encoder, lambda: self.forward(batch))
        for depth, (layer, (tokens,)) in enumerate(zip(self.encoder, given, strict=True)):
            shown |= {f"{name}_{depth}": value for name, value in layer.attention.explain(tokens).items()}
        return shown


def _embedding(shape: Shape, config: InformerConfig) -> TimeStepEmbedding:
    return TimeStepEmbedding(
        shape.n_variates,
        shape.n_marks,
        config.d_model,
        dropout=config.dropout,
        positions=True,
        bias=config.variant == "informer2020",
    )


class Attention(nn.Module):
    """Multi-head attention with its projections; self attention where ``source`` is ``tokens``.

    Args:
        kind: ``prob_sparse``, ``fused`` or ``materialised``.
        causal: a time step attends to those up to it only.
        mix: read the memory of (h, t, d) as (t, h d) when heads are put together, as the codes do by a
            missing transposition; it carries information between time steps.
    """

    def __init__(self, config: InformerConfig, kind: str, *, causal: bool = False, mix: bool = False):
        super().__init__()
        d = config.d_model
        self.config, self.kind, self.causal, self.mix = config, kind, causal, mix
        self.scale = (d // config.n_heads) ** -0.5
        # Apart from keys and values: the backward pass needs few of the queries, and the rest can go.
        self.queries = nn.Linear(d, d)
        self.keys_values = nn.Linear(d, 2 * d)
        self.out = nn.Linear(d, d)

    def heads(self, tokens: Tensor, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (b, t, h, d) of ``tokens`` (b, t, d), keys and values (b, s, h, d) of ``source``."""
        h = self.config.n_heads
        keys, values = self.keys_values(source).unflatten(-1, (2, h, -1)).unbind(2)
        return self.queries(tokens).unflatten(-1, (h, -1)), keys, values

    def forward(self, tokens: Tensor, source: Tensor) -> Tensor:
        """``tokens`` (b, t, d) and ``source`` (b, s, d) to (b, t, d)."""
        queries, keys, values = self.heads(tokens, source)
        t = tokens.shape[1]
        if self.kind == "prob_sparse":
            positions, _ = select_queries(queries, keys, self.config.factor, redraw=self.training)
            mixed = prob_sparse_attention(
                queries, keys, values, positions, scale=self.scale, causal=self.causal
            )
        else:
            mixed = attend(
                queries.transpose(1, 2),
                keys.transpose(1, 2),
                values.transpose(1, 2),
                scale=self.scale,
                fused=self.kind == "fused",
                dropout=self.config.dropout if self.training else 0.0,
                mask=causal_mask(t, t, tokens.device) if self.causal else None,
            ).transpose(1, 2)  # (b, t, h, d)
        if self.mix:
            return self.out(mixed.transpose(1, 2).reshape(tokens.shape))
        return self.out(mixed.flatten(2))

    def explain(self, tokens: Tensor) -> dict[str, Tensor]:
        """What self attention over ``tokens`` (b, t, d) looks at, see :meth:`Informer.explain`."""
        queries, keys, _ = self.heads(tokens, tokens)
        if self.kind == "prob_sparse":
            positions, measured = select_queries(queries, keys, self.config.factor, redraw=False)
            return {"selected_queries": positions, "sparsity": measured}
        queries, keys = (self.scale * queries).transpose(1, 2), keys.transpose(1, 2)
        return {"attention": attention_weights(queries, keys)}


def _thuml_mix(config: InformerConfig) -> bool:
    """Whether every ProbSparse attention mixes up heads and time steps, as thuml's code has it."""
    return config.variant == "thuml" and config.attention == "prob_sparse"


class EncoderLayer(nn.Module):
    """Post-norm encoder layer."""

    def __init__(self, config: InformerConfig):
        super().__init__()
        self.attention = Attention(config, config.attention, mix=_thuml_mix(config))
        self.norm_attention = nn.LayerNorm(config.d_model)
        self.feed_forward = feed_forward(config.d_model, config.d_ff, dropout=config.dropout)
        self.norm_feed_forward = nn.LayerNorm(config.d_model)
        self.dropout = Dropout(config.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """``tokens`` (b, t, d) to the same shape."""
        tokens = self.norm_attention(tokens + self.dropout(self.attention(tokens, tokens)))
        return self.norm_feed_forward(tokens + self.feed_forward(tokens))


class Distil(nn.Module):
    """Halve the time axis: circular convolution, batch norm, ELU, max-pooling (section 3.3, eq. 5).

    Args:
        wide: pad the convolution by 2 steps rather than 1, which makes it 2 steps longer than its input.
    """

    def __init__(self, d_model: int, *, wide: bool):
        super().__init__()
        self.wide = wide
        self.convolution = nn.Conv1d(d_model, d_model, kernel_size=3)
        self.norm = nn.BatchNorm1d(d_model)

    def forward(self, tokens: Tensor) -> Tensor:
        """``tokens`` (b, t, d) to (b, (t + 1) // 2, d), or (b, (t + 3) // 2, d) if ``wide``."""
        convolved = self.convolution(_close(tokens).transpose(1, 2)).transpose(1, 2)
        if self.wide:
            convolved = _close(convolved)  # the outer steps see the same circle
        normed = self.norm(convolved.flatten(0, 1)).view_as(convolved)
        # ELU rises with its input and so may follow the maximum, which leaves half the work.
        return functional.elu(functional.max_pool1d(normed.transpose(1, 2), 3, 2, 1)).transpose(1, 2)


def _close(series: Tensor) -> Tensor:
    """``series`` (b, t, d) with its last step in front and its first one behind, (b, t + 2, d)."""
    return torch.cat([series[:, -1:], series, series[:, :1]], dim=1)


class DecoderLayer(nn.Module):
    """Post-norm decoder layer: masked self attention, attention to the encoder's output, feed-forward."""

    def __init__(self, config: InformerConfig):
        super().__init__()
        d, authors = config.d_model, config.variant == "informer2020"
        full = "fused" if config.attention == "prob_sparse" else config.attention
        self.attention = Attention(config, config.attention, causal=True, mix=authors or _thuml_mix(config))
        self.norm_attention = nn.LayerNorm(d)
        self.cross_attention = Attention(
            config, full if authors else config.attention, mix=_thuml_mix(config)
        )
        self.norm_cross_attention = nn.LayerNorm(d)
        self.feed_forward = feed_forward(d, config.d_ff, dropout=config.dropout)
        self.norm_feed_forward = nn.LayerNorm(d)
        self.dropout = Dropout(config.dropout)

    def forward(self, tokens: Tensor, source: Tensor, wanted: int) -> Tensor:
        """``tokens`` (b, t, d) and the encoder's ``source`` (b, s, d) to the last ``wanted`` of its steps.

        The other steps go as soon as the wanted ones no longer depend on them: full cross attention takes
        each query by itself, while ProbSparse attention chooses among all.
        """
        tokens = tokens + self.dropout(self.attention(tokens, tokens))
        if self.cross_attention.kind != "prob_sparse":
            tokens = tokens[:, -wanted:]
        tokens = self.norm_attention(tokens)
        tokens = (tokens + self.dropout(self.cross_attention(tokens, source)))[:, -wanted:]
        tokens = self.norm_cross_attention(tokens)
        return self.norm_feed_forward(tokens + self.feed_forward(tokens))
