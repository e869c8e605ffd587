"""Temporal Fusion Transformers for Interpretable Multi-horizon Time Series Forecasting.

https://arxiv.org/abs/1912.09363 (International Journal of Forecasting 37, 2021)
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

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


class Encoded(NamedTuple):
    """What the attention starts from, and the weights of the variables on the way there."""

    temporal: Tensor  # (L + H, b, v, d): selected variables and their LSTM outputs
    enriched: Tensor  # (L + H, b, v, d)
    past_weights: Tensor  # (L, b, v, n_past)
    future_weights: Tensor  # (H, b, v or 1, n_future)
    static_weights: Tensor | None  # (v, n_static)


class TFT(Forecaster):
    """Variable selection, an LSTM encoder and decoder, and attention over its outputs; forecasts quantiles.

    Every variate of a window is a series by itself (an entity), told apart by its static id or static reals.
    A past step has its own value, past covariates, time marks and known inputs, a future step the last two;
    where there are neither, it has one learned constant, as the network wants at least one input there.

    Where ports disagree this follows the authors' code: dropout inside the gating layers, before the gate,
    none in the last one; attention of a step to itself and before; layer norms with eps 1e-3. Without any
    static input there are no contexts, and the LSTM starts at zero. With more than one LSTM layer, which the
    paper does not have, all layers start from the same contexts.
    """

    def __init__(self, shape: Shape, config: TFTConfig):
        super().__init__()
        self.config, self.shape = config, shape
        self.quantile_levels = tuple(config.quantiles)
        d, p = config.d_model, config.dropout
        known = (*_numbered("mark", shape.n_marks), *_numbered("known", shape.n_known))
        self.past_variables = ("value", *_numbered("past_covariate", shape.n_past_covariates), *known)
        self.future_variables = known or ("constant",)
        self.static_variables = (
            *(("entity",) if shape.n_entities else ()),
            *_numbered("static_real", shape.n_static_reals),
        )
        self.statics = StaticEncoder(shape, config) if self.static_variables else None
        d_context = d if self.statics else 0
        self.embedding = ScalarEmbedding(len(self.past_variables) + (not known), d)
        self.past_selection, self.future_selection = (
            ScalarVariableSelection(len(names), d, dropout=p, d_context=d_context)
            for names in (self.past_variables, self.future_variables)
        )
        self.recurrence = Recurrence(d, config.layers, dropout=p)
        self.enrichment = GatedResidualNetwork(d, d, d, dropout=p, d_context=d_context)
        self.attention = InterpretableAttention(
            d, config.n_heads, dropout=p, fused=config.attention == "fused"
        )
        self.decoder = Decoder(self.attention, d, dropout=p)
        self.head = nn.Linear(d, len(self.quantile_levels))

    def forward(self, batch: Batch, quantiles: bool = False) -> Tensor:
        """The median (b, H, v), or with ``quantiles`` all levels (b, H, v, q)."""
        mean, sd = window_statistics(batch.past) if self.config.normalise else (0, 1)
        encoded = self.encode(batch._replace(past=(batch.past - mean) / sd))
        decoded = call(self.decoder, encoded.temporal, encoded.enriched, recompute=self.config.checkpoint)
        levels = self.head(decoded).permute(3, 1, 0, 2) * sd + mean  # (q, b, H, v)
        return levels.permute(1, 2, 3, 0) if quantiles else levels[self.quantile_levels.index(0.5)]
