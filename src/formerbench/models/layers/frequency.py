"""Frequency-enhanced block and attention: a few Fourier modes are all that passes (FEDformer-f)."""

import torch
from torch import Tensor, nn

from formerbench.models.layers.fourier import chosen_modes, full_precision, series_of_modes

_BLOCK = 2**17  # complex numbers whose tanh is taken at a time: what a core's cache holds


class FourierBlock(nn.Module):
    """A complex linear map per kept mode (FEDformer section 3.2, https://arxiv.org/abs/2201.12740).

    Args:
        modes: frequencies kept, sorted, (m,).
        displace: write mode number i of the kept ones to frequency i, as the official code does; otherwise
            each stays at its own frequency, as in the paper.
    """

    needs_keys = False

    def __init__(self, d_model: int, n_heads: int, modes: Tensor, *, displace: bool = False):
        super().__init__()
        self.displace = displace
        self.register_buffer("modes", modes)
        self.weight = _mode_weights(d_model, n_heads, len(modes))

    def forward(self, queries: Tensor) -> Tensor:
        """``queries`` (b, t, d) to the same shape."""
        mixed = _mix_modes(chosen_modes(queries, self.modes), self.weight)
        slots = torch.arange(len(self.modes), device=queries.device) if self.displace else self.modes
        return series_of_modes(mixed, slots, queries.shape[1])


class FourierCrossAttention(nn.Module):
    """Attention between the modes of two series (FEDformer section 3.2, eq. 6 and 7).

    As in the official code the keys serve as values, the scores are not conjugated, and tanh of the complex
    scores takes the place of softmax. The result is divided by the square of the width though the weights
    start with that factor, so it begins close to nothing.

    Args:
        modes, source_modes: kept frequencies of the asking series (m,) and of the answering one (n,).
    """

    needs_keys = True

    def __init__(self, d_model: int, n_heads: int, modes: Tensor, source_modes: Tensor):
        super().__init__()
        self.n_heads = n_heads
        self.register_buffer("modes", modes)
        self.register_buffer("source_modes", source_modes)
        self.weight = _mode_weights(d_model, n_heads, len(modes))

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """``queries`` (b, t, d) and ``keys`` (b, s, d) to (b, t, d)."""
        asking = self._heads(chosen_modes(queries, self.modes))  # (b, h, m, d)
        answering = self._heads(chosen_modes(keys, self.source_modes))  # (b, h, n, d)
        scores = complex_tanh(asking @ answering.transpose(-2, -1))  # (b, h, m, n)
        attended = (scores @ answering).transpose(1, 2).flatten(2)  # (b, m, d)
        mixed = _mix_modes(attended, self.weight) / queries.shape[-1] ** 2
        return series_of_modes(mixed, self.modes, queries.shape[1])

    def _heads(self, coefficients: Tensor) -> Tensor:
        return coefficients.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


class FrequencyLayer(nn.Module):
    """Projections of one layer around a block or attention that all layers of its kind share.

    The official code has all three projections in every layer; that of the values, and in a Fourier block
    that of the keys, is never used. They are here so that the sizes agree, and take no part.

    Args:
        mix: read the memory of (d, t) as (t, d) before the last projection, as the official code does by a
            missing transposition.
    """

    def __init__(self, d_model: int, core: FourierBlock | FourierCrossAttention, *, mix: bool = False):
        super().__init__()
        self.mix = mix
        self._core = (core,)  # in a tuple, for the model that owns it to have it registered once
        self.queries = nn.Linear(d_model, d_model)
        self.keys = nn.Linear(d_model, d_model)
        self.values = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, series: Tensor, source: Tensor) -> Tensor:
        """``series`` (b, t, d) asks, ``source`` (b, s, d) answers: (b, t, d)."""
        (core,) = self._core
        inputs = [self.queries(series)]
        if core.needs_keys:
            inputs.append(self.keys(source))
        with torch.autocast(series.device.type, enabled=False):
            filtered = core(*map(full_precision, inputs))
        if self.mix:
            filtered = filtered.transpose(1, 2).reshape(filtered.shape)
        return self.out(filtered.to(series.dtype))


def complex_tanh(values: Tensor) -> Tensor:
    """tanh of complex ``values`` of any shape."""
    return _ComplexTanh.apply(values)


class _ComplexTanh(torch.autograd.Function):
    """In real arithmetic: torch's own takes a number at a time on the CPU, half the time of a forecast."""

    @staticmethod
    def forward(values: Tensor) -> Tensor:
        at_once = values.device.type != "cpu" or torch.compiler.is_compiling()
        parts = values.flatten().split(values.numel() if at_once else _BLOCK)
        return torch.cat([_tanh(part) for part in parts]).view(values.shape)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (tanh,) = ctx.saved_tensors
        return gradient * (1 - tanh * tanh).conj()


def _tanh(values: Tensor) -> Tensor:
    # With e = exp(-2 |x|), tanh(x + iy) = (sign(x) (1 - e^2) + 2i e sin 2y) / (1 + e^2 + 2 e cos 2y).
    # Beyond 40 nothing changes, but e would be so small that processors slow down.
    x, angle = values.real.clamp(-40, 40), 2 * values.imag
    shrink = torch.exp(-2 * x.abs())
    denominator = 1 + shrink * shrink + 2 * shrink * angle.cos()
    rest = torch.expm1(-4 * x.abs())  # e^2 - 1 without cancellation; only its size is wanted
    return torch.complex(rest.copysign(x) / denominator, 2 * shrink * angle.sin() / denominator)


def select_modes(length: int, count: int, how: str) -> Tensor:
    """``count`` of the frequencies below the highest of ``length`` steps, sorted: random or the lowest."""
    available = length // 2
    count = min(count, available)
    chosen = torch.randperm(available)[:count] if how == "random" else torch.arange(count)
    return chosen.sort().values


def _mode_weights(d_model: int, n_heads: int, n_modes: int) -> nn.Parameter:
    """A complex matrix per mode and head as real pairs (m, h, d, d, 2), uniform in [0, 1 / d_model**2)."""
    width = d_model // n_heads
    return nn.Parameter(torch.rand(n_modes, n_heads, width, width, 2) / d_model**2)


def _mix_modes(coefficients: Tensor, weight: Tensor) -> Tensor:
    """Each mode's and head's features through its own matrix: complex (b, m, d) to (b, m, d)."""
    matrices = torch.view_as_complex(full_precision(weight))
    heads = coefficients.unflatten(-1, (matrices.shape[1], -1))
    return torch.einsum("bmhi,mhio->bmho", heads, matrices).flatten(2)
