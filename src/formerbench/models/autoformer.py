"""Autoformer: Decomposition Transformers with Auto-Correlation for Long-Term Series Forecasting.

https://arxiv.org/abs/2106.13008 (NeurIPS 2021)
"""

from functools import partial

import torch
from torch import Tensor

from formerbench.models.batch import Batch
from formerbench.models.configs import AutoformerConfig, Shape
from formerbench.models.layers.auto_correlation import AutoCorrelation
from formerbench.models.layers.decomposition import SeriesDecomposition
from formerbench.models.layers.progressive import ProgressiveDecomposition
from formerbench.models.layers.recording import inputs_of


class Autoformer(ProgressiveDecomposition):
    """Progressive decomposition with auto-correlation in the place of attention.

    Where paper and official code disagree, this follows the code: tokens without positions, delays common to
    the batch in training and each sample's own in evaluation, a decoder that is not causal, and a layer norm
    that takes out the mean over time. The delays are of the mean over all heads and features, so that the
    number of heads changes nothing.
    """

    def __init__(self, shape: Shape, config: AutoformerConfig):
        attention = partial(AutoCorrelation, config.d_model, config.factor)
        super().__init__(
            shape,
            config,
            encoder_attention=attention,
            decoder_attention=attention,
            cross_attention=attention,
            decomposition=partial(SeriesDecomposition, config.kernel),
        )

    @torch.no_grad()
    def explain(self, batch: Batch) -> dict[str, Tensor]:
        """Parts of the forecast and the delays behind it.

        ``seasonal`` and ``trend`` (b, H, v) add up to the forecast; ``delays`` (attentions, b, k), steps, and
        ``weights`` of the same shape, summing to 1, of the encoder's layers; ``decoder_delays`` and
        ``decoder_weights`` of each decoder layer's self and cross attention.
        """
        encoder = [layer.attention for layer in self.encoder]
        decoder = [part for layer in self.decoder for part in (layer.attention, layer.cross_attention)]
        shown, explain_parts = {}, super().explain
        inputs = inputs_of([*encoder, *decoder], lambda: shown.update(explain_parts(batch)))
        chosen = [part.delays(*given) for part, given in zip([*encoder, *decoder], inputs, strict=True)]
        for prefix, found in (("", chosen[: len(encoder)]), ("decoder_", chosen[len(encoder) :])):
            delays, weights = zip(*found, strict=True)
            shown |= {f"{prefix}delays": torch.stack(delays), f"{prefix}weights": torch.stack(weights)}
        return shown
