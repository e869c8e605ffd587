"""FEDformer: Frequency Enhanced Decomposed Transformer for Long-term Series Forecasting.

https://arxiv.org/abs/2201.12740 (ICML 2022); the variant with Fourier blocks.
"""

from functools import partial

import torch
from torch import Tensor

from formerbench.models.batch import Batch
from formerbench.models.configs import FEDformerConfig, Shape
from formerbench.models.layers.decomposition import MixedDecomposition
from formerbench.models.layers.frequency import (
    FourierBlock,
    FourierCrossAttention,
    FrequencyLayer,
    select_modes,
)
from formerbench.models.layers.progressive import ProgressiveDecomposition


class FEDformer(ProgressiveDecomposition):
    """Progressive decomposition with frequency-enhanced blocks and attention.

    Where paper and official code disagree, this follows the code, as :mod:`~.layers.frequency` tells in
    detail, but for two of its slips, which ``variant="official"`` brings back. Layers share the mode weights,
    as in the code; modes are drawn once for each kind of layer and part of the saved state. The decoder's are
    those of its own length, label_len + H; the code takes L / 2 + H, which at L = 96 is the same.
    """

    def __init__(self, shape: Shape, config: FEDformerConfig):
        d, h, official = config.d_model, config.n_heads, config.variant == "official"
        decoder_length = config.label_len + shape.horizon
        encoder_modes, decoder_modes, asking, answering = (
            select_modes(length, config.modes, config.mode_select)
            for length in (shape.lookback, decoder_length, decoder_length, shape.lookback)
        )
        encoder_block = FourierBlock(d, h, encoder_modes, displace=official)
        decoder_block = FourierBlock(d, h, decoder_modes, displace=official)
        cross_attention = FourierCrossAttention(d, h, asking, answering)
        super().__init__(
            shape,
            config,
            encoder_attention=partial(FrequencyLayer, d, encoder_block, mix=official),
            decoder_attention=partial(FrequencyLayer, d, decoder_block, mix=official),
            cross_attention=partial(FrequencyLayer, d, cross_attention, mix=official),
            decomposition=partial(MixedDecomposition, config.kernels),
        )
        self.encoder_block, self.decoder_block = encoder_block, decoder_block
        self.cross_attention = cross_attention

    @torch.no_grad()
    def explain(self, batch: Batch) -> dict[str, Tensor]:
        """Parts of the forecast and the frequencies behind it.

        ``seasonal`` and ``trend`` (b, H, v) add up to the forecast. The kept frequencies, in periods per
        length: ``encoder_modes`` of the encoder's blocks, ``decoder_modes`` of the decoder's, and
        ``cross_modes`` and ``source_modes`` of the attention between the two.
        """
        return super().explain(batch) | {
            "encoder_modes": self.encoder_block.modes,
            "decoder_modes": self.decoder_block.modes,
            "cross_modes": self.cross_attention.modes,
            "source_modes": self.cross_attention.source_modes,
        }
