"""Temporal Fusion Transformers for Interpretable Multi-horizon Time Series Forecasting.

https://arxiv.org/abs/1912.09363 (International Journal of Forecasting 37, 2021)
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from formerbench.errors import StatedError
from formerbench.models.batch import Batch, Forecaster
from formerbench.models.configs import Shape, TFTConfig
from formerbench.models.layers.checkpointing import call
from formerbench.models.layers.gating import GatedResidualNetwork, GatedSkip
from formerbench.models.layers.interpretable_attention import InterpretableAttention
from formerbench.models.layers.normalisation import window_statistics
from formerbench.models.layers.variable_selection import (
    ScalarEmbedding,
    ScalarVariableSelection,
    VariableSelection,
)


class TFT(Forecaster):
    """Variable selection, an LSTM encoder and decoder, and attention over its outputs; forecasts quantiles.

    Every variate of a window is a series by itself (an entity), told apart by its static id or static reals.
    A past step has its own value, past covariates, time marks and known inputs, a future step the last two;
    where there are neither it has one learned constant, as the network wants at least one input there.

    Where ports disagree this follows the authors' code: dropout inside the gating layers, before the gate,
    and none in the last one; attention of a step to itself and to all before; no dropout on its weights;
    layer norms with eps 1e-3; no window normalisation unless asked for. Weights start as torch starts them,
    not as Keras does. Without any static input there are no
    contexts, and the LSTM starts at zero. If it has several layers, as in no published setting, all start
    from the same contexts.
    """

    def __init__(self, shape: Shape, config: TFTConfig):
        super().__init__()
        self.config, self.shape = config, shape
        self.quantile_levels = tuple(config.quantiles)
        d, dropout = config.d_model, config.dropout
        known = (*_numbered("mark", shape.n_marks), *_numbered("known", shape.n_known))
        self.past_variables = ("value", *_numbered("past_covariate", shape.n_past_covariates), *known)
        self.future_variables = known or ("constant",)
        self.static_variables = ("entity",) * bool(shape.n_entities)
        self.static_variables += _numbered("static_real", shape.n_static_reals)

        self.statics = StaticEncoder(shape, config) if self.static_variables else None
        d_context = d if self.static_variables else 0
        self.embedding = ScalarEmbedding(len(self.past_variables) + (not known), d)
        self.past_selection, self.future_selection = (
            ScalarVariableSelection(len(names), d, dropout=dropout, d_context=d_context)
            for names in (self.past_variables, self.future_variables)
        )
        self.recurrence = Recurrence(config)
        self.enrichment = GatedResidualNetwork(d, d, d, dropout=dropout, d_context=d_context)
        self.decoder = Decoder(config)
        self.head = nn.Linear(d, len(self.quantile_levels))

    def forward(self, batch: Batch, quantiles: bool = False) -> Tensor:
        """The median (b, H, v), or with ``quantiles`` every level (b, H, v, q)."""
        encoded = self.encode(batch)
        temporal = encoded.temporal[-self.shape.horizon :]
        decoded = call(self.decoder, temporal, encoded.enriched, recompute=self.config.checkpoint)
        levels = self.head(decoded).transpose(0, 1)  # (b, H, v, q), eq. 23
        if self.config.normalise:
            mean, sd = (statistic.unsqueeze(-1) for statistic in window_statistics(batch.past))
            levels = levels * sd + mean
        return levels if quantiles else levels[..., self.quantile_levels.index(0.5)]

    def quantiles(self, batch: Batch) -> Tensor:
        """The forecast of every level (b, H, v, q); nothing keeps the levels from crossing."""
        return self(batch, quantiles=True)  # through the call, which is what `compile` compiles

    def loss(self, batch: Batch, target: Tensor) -> Tensor:
        """Pinball losses of all levels added up, mean over elements of ``target`` (b, H, v); eqs. 24, 25."""
        if self.config.loss == "mse":
            return super().loss(batch, target)
        errors = (target.unsqueeze(-1) - self.quantiles(batch)).unbind(-1)
        pairs = zip(self.quantile_levels, errors, strict=True)
        return sum(torch.maximum(level * error, (level - 1) * error).mean() for level, error in pairs)

    def encode(self, batch: Batch) -> "Encoded":
        """Everything before the attention."""
        past = batch.past
        if self.config.normalise:
            mean, sd = window_statistics(past)
            past = (past - mean) / sd
        contexts = self.statics(batch) if self.statics else Contexts()
        shared_past, shared_future = self._shared(batch)
        n_past, first_known = len(self.past_variables), 1 + self.shape.n_past_covariates
        embedding = self.embedding.weight, self.embedding.bias
        options = {"context": contexts.selection, "recompute": self.config.checkpoint}
        past_features, past_weights = self.past_selection(
            past.transpose(0, 1).unsqueeze(-1),  # (L, b, v, 1)
            shared_past,
            [part[:n_past] for part in embedding],
            **options,
        )
        future_features, future_weights = self.future_selection(
            None, shared_future, [part[first_known:] for part in embedding], **options
        )
        states = contexts.hidden, contexts.cell
        recompute = self.config.checkpoint
        temporal = call(self.recurrence, past_features, future_features, *states, recompute=recompute)
        enriched = call(self.enrichment, temporal, contexts.enrichment, recompute=recompute)  # eq. 18
        return Encoded(temporal, enriched, past_weights, future_weights, contexts.weights)

    def _shared(self, batch: Batch) -> tuple[Tensor | None, Tensor]:
        """Inputs of past (L, b, 1, p + f + k) and future steps (H, b, 1, f + k) that all variates share."""
        shape = self.shape
        past, future = [], []
        if shape.n_past_covariates:
            past.append(_given(batch, "past_covariates"))
        if shape.n_marks:
            past.append(_given(batch, "past_marks"))
            future.append(_given(batch, "future_marks"))
        if shape.n_known:
            of_past, of_future = _given(batch, "known").split((shape.lookback, shape.horizon), dim=1)
            past.append(of_past)
            future.append(of_future)
        if not future:
            future.append(batch.past.new_ones(len(batch.past), shape.horizon, 1))
        return _time_first(past) if past else None, _time_first(future)

    @torch.no_grad()
    def explain(self, batch: Batch) -> dict[str, Tensor]:
        """What the model looks at; every row sums to 1.

        ``past_variable_weights`` (b, v, L, n_past), ``future_variable_weights`` (b, v, H, n_future) and, if
        there are static inputs, ``static_variable_weights`` (b, v, n_static), in the order of the attributes
        ``past_variables``, ``future_variables`` and ``static_variables``; ``attention`` (b, v, H, L + H), the
        mean over the heads, and ``head_attention`` (b, v, h, H, L + H).
        """
        b, _, v = batch.past.shape
        encoded = self.encode(batch)
        heads = self.decoder.attention.weights(encoded.enriched.flatten(1, 2), self.shape.horizon)
        shown = {
            "past_variable_weights": encoded.past_weights.permute(1, 2, 0, 3),
            "future_variable_weights": encoded.future_weights.expand(-1, -1, v, -1).permute(1, 2, 0, 3),
            "attention": heads.mean(dim=1).unflatten(0, (b, v)),
            "head_attention": heads.unflatten(0, (b, v)),
        }
        if encoded.static_weights is not None:
            shown["static_variable_weights"] = encoded.static_weights.expand(b, -1, -1)
        return shown


class Encoded(NamedTuple):
    """What the attention starts from, and the weights of the variables on the way there."""

    temporal: Tensor  # (L + H, b, v, d)
    enriched: Tensor  # (L + H, b, v, d)
    past_weights: Tensor  # (L, b, v, n_past)
    future_weights: Tensor  # (H, b, v or 1, n_future)
    static_weights: Tensor | None  # (v, n_static)


class Contexts(NamedTuple):
    """What the static inputs say, each (v, d), or nothing; ``weights`` (v, n_static) are their own."""

    selection: Tensor | None = None
    enrichment: Tensor | None = None
    hidden: Tensor | None = None
    cell: Tensor | None = None
    weights: Tensor | None = None


class StaticEncoder(nn.Module):
    """Static id and reals to the four contexts (section 4.3)."""

    def __init__(self, shape: Shape, config: TFTConfig):
        super().__init__()
        d, dropout = config.d_model, config.dropout
        self.entity = nn.Embedding(shape.n_entities, d) if shape.n_entities else None
        self.reals = ScalarEmbedding(shape.n_static_reals, d) if shape.n_static_reals else None
        n_variables = (self.entity is not None) + shape.n_static_reals
        self.selection = VariableSelection(n_variables, d, dropout=dropout)
        self.contexts = nn.ModuleList(GatedResidualNetwork(d, d, d, dropout=dropout) for _ in range(4))

    def forward(self, batch: Batch) -> Contexts:
        embedded = []
        if self.entity is not None:
            embedded.append(self.entity(_given(batch, "static_ids")).unsqueeze(-2))
        if self.reals is not None:
            embedded.append(self.reals(_given(batch, "static_reals")))
        selected, weights = self.selection(torch.cat(embedded, dim=-2))
        return Contexts(*(network(selected) for network in self.contexts), weights)


class Recurrence(nn.Module):
    """The LSTM encoder and decoder behind a gate (section 4.5.1)."""

    def __init__(self, config: TFTConfig):
        super().__init__()
        d = config.d_model
        self.encoder = nn.LSTM(d, d, config.layers)
        self.decoder = nn.LSTM(d, d, config.layers)
        self.gated_skip = GatedSkip(d, d, dropout=config.dropout)

    def forward(self, past: Tensor, future: Tensor, hidden: Tensor | None, cell: Tensor | None) -> Tensor:
        """``past`` (L, b, v, d), ``future`` (H, b, v or 1, d) and states (v, d) to (L + H, b, v, d)."""
        _, b, v, d = past.shape
        past, future = (part.expand(-1, -1, v, -1).flatten(1, 2) for part in (past, future))  # (t, b v, d)
        state = None
        if hidden is not None:
            layers = self.encoder.num_layers
            state = tuple(s.expand(layers, b, v, d).flatten(1, 2).contiguous() for s in (hidden, cell))
        history, state = self.encoder(past, state)
        ahead, _ = self.decoder(future, state)
        # Gated apart, so that features and outputs need not be put together both.
        temporal = torch.cat([self.gated_skip(history, past), self.gated_skip(ahead, future)])  # eq. 17
        return temporal.unflatten(1, (b, v))


class Decoder(nn.Module):
    """Attention of the future steps and the feed-forward network behind it (sections 4.5.3 and 4.5.4)."""

    def __init__(self, config: TFTConfig):
        super().__init__()
        d, dropout = config.d_model, config.dropout
        self.attention = InterpretableAttention(
            d, config.n_heads, dropout=dropout, fused=config.attention == "fused"
        )
        self.attention_skip = GatedSkip(d, d, dropout=dropout)
        self.feed_forward = GatedResidualNetwork(d, d, d, dropout=dropout)
        self.last_skip = GatedSkip(d, d, dropout=0.0)

    def forward(self, temporal: Tensor, enriched: Tensor) -> Tensor:
        """``temporal`` (H, b, v, d) of future steps and ``enriched`` (L + H, b, v, d) to (H, b, v, d)."""
        horizon, b, v, _ = temporal.shape
        attended = self.attention(enriched.flatten(1, 2), horizon).unflatten(1, (b, v))  # eq. 19
        attended = self.attention_skip(attended, enriched[-horizon:])  # eq. 20
        return self.last_skip(self.feed_forward(attended), temporal)  # eqs. 21 and 22


def _numbered(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}_{i}" for i in range(count))


def _given(batch: Batch, field: str) -> Tensor:
    if (value := getattr(batch, field)) is None:
        raise StatedError(f"this TFT was built for {field}, and the batch has none")
    return value


def _time_first(parts: list[Tensor]) -> Tensor:
    """``parts`` (b, t, c) side by side as (t, b, 1, c)."""
    return torch.cat(parts, dim=-1).transpose(0, 1).unsqueeze(2)
