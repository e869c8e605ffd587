"""Auto-correlation: attention to whole delays instead of single steps."""

import math

import torch
from torch import Tensor, nn

from formerbench.models.layers.fourier import full_precision, inverse_real_fft, real_fft


class AutoCorrelation(nn.Module):
    """Auto-correlation between two series (Autoformer section 3.2, https://arxiv.org/abs/2106.13008).

    The delays of largest correlation, averaged over heads and features, shift the values, and softmax of the
    correlations weighs them. As in the official code the delays are in training those of the mean over the
    batch, and in evaluation each sample's own; the weights are each sample's own in both. Longer keys and
    values are cut to the queries' length, shorter ones filled up with zeros.

    The average over features is taken before the inverse Fourier transform, and the weighted sum of shifted
    values is one circular convolution in the frequency domain; both are exact, and the cost is O(t log t)
    in time and O(t) in memory.
    """

    def __init__(self, d_model: int, factor: int):
        super().__init__()
        self.factor = factor
        self.queries = nn.Linear(d_model, d_model)
        self.keys_values = nn.Linear(d_model, 2 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, series: Tensor, source: Tensor) -> Tensor:
        """``series`` (b, t, d) asks, ``source`` (b, s, d) answers: (b, t, d)."""
        length = series.shape[1]
        delays, weights, values = self._chosen(series, source)
        with torch.autocast(series.device.type, enabled=False):
            shifts = weights.new_zeros(len(weights), length).scatter(1, delays, weights)  # (b, t)
            spectrum = values * real_fft(shifts.unsqueeze(-1)).conj()
            mixed = inverse_real_fft(spectrum, length)  # sum over delays of weight * values(t + delay), eq. 6
        return self.out(mixed.to(series.dtype))

    def delays(self, series: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """The delays (b, k), in steps, and their weights (b, k), each sample's summing to 1."""
        return self._chosen(series, source)[:2]

    def _chosen(self, series: Tensor, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Delays and weights, each (b, k), and the spectrum of the values, complex (b, f, d)."""
        queries, keys_values = self._project(series, source)
        with torch.autocast(series.device.type, enabled=False):
            keys, values = real_fft(keys_values).chunk(2, dim=-1)
            delays, weights = self._choose(mean_correlation(real_fft(queries), keys, series.shape[1]))
        return delays, weights, values

    def _project(self, series: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (b, t, d) and keys beside values (b, t, 2 d), cut or filled up to the queries' length."""
        length = series.shape[1]
        keys_values = self.keys_values(source[:, :length])
        missing = length - keys_values.shape[1]
        filled = nn.functional.pad(keys_values, (0, 0, 0, missing))
        return full_precision(self.queries(series)), full_precision(filled)

    def _choose(self, correlation: Tensor) -> tuple[Tensor, Tensor]:
        """Delays and weights, each (b, k), from the mean correlations (b, t); section 3.2, eq. 6."""
        length = correlation.shape[1]
        count = min(length, max(1, int(self.factor * math.log(length))))
        if self.training:
            common = correlation.mean(dim=0, keepdim=True).topk(count, dim=1).indices
            delays = common.expand(len(correlation), -1)
        else:
            delays = correlation.topk(count, dim=1).indices
        return delays, correlation.gather(1, delays).softmax(dim=1)


def mean_correlation(queries: Tensor, keys: Tensor, length: int) -> Tensor:
    """Circular correlation of two series at every delay, mean over features (eq. 5 and 8).

    ``queries`` and ``keys``: their spectra (b, f, d). Returns (b, length).
    """
    spectrum = (queries * keys.conj()).mean(dim=-1, keepdim=True)
    return inverse_real_fft(spectrum, length).squeeze(-1)
