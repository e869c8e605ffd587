"""FEDformer: Frequency Enhanced Decomposed Transformer for Long-term Series Forecasting.

https://arxiv.org/abs/2201.12740 (ICML 2022); the variant with Fourier blocks.
"""

from functools import partial

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

    Where paper and official code disagree, this follows the code, as :class:`FourierCrossAttention` tells in
    detail, but for one thing: kept modes stay at their own frequencies, as in the paper, unless
    ``displace_modes`` asks for the official Fourier block, which moves them to the lowest. Layers share the
    mode weights, as in the code, and the modes are part of the saved state.
    """

    def __init__(self, shape: Shape, config: FEDformerConfig):
        d, h, how = config.d_model, config.n_heads, config.mode_select
        source_modes = select_modes(shape.lookback, config.modes, how)
        modes = select_modes(config.label_len + shape.horizon, config.modes, how)
        encoder_block = FourierBlock(d, h, source_modes, displace=config.displace_modes)
        decoder_block = FourierBlock(d, h, modes, displace=config.displace_modes)
        cross_attention = FourierCrossAttention(d, h, modes, source_modes)
        super().__init__(
            shape,
            config,
            encoder_attention=partial(FrequencyLayer, d, encoder_block),
            decoder_attention=partial(FrequencyLayer, d, decoder_block),
            cross_attention=partial(FrequencyLayer, d, cross_attention),
            decomposition=partial(MixedDecomposition, config.kernels),
        )
        self.encoder_block, self.decoder_block = encoder_block, decoder_block
        self.cross_attention = cross_attention

    def explain(self, batch: Batch) -> dict[str, Tensor]:
        """Parts of the forecast and the frequencies behind it.

        ``seasonal`` and ``trend`` (b, H, v) add up to the forecast; ``encoder_modes`` (m,) and
        ``decoder_modes`` (n,) are the frequencies kept, in periods per lookback and per decoder length.
        """
        seasonal, trend = self.parts(batch)
        return {
            "seasonal": seasonal,
            "trend": trend,
            "encoder_modes": self.cross_attention.source_modes,
            "decoder_modes": self.cross_attention.modes,
        }
