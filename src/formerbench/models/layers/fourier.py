"""Fourier transforms over time in (b, t, d) layout: all frequencies by FFT, a few by a product."""

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> Tensor:
    """``tensor`` in float32 or better; half precisions have no Fourier transform on most devices."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def real_fft(series: Tensor) -> Tensor:
    """Real FFT over time: (b, t, d) to complex (b, t // 2 + 1, d)."""
    return _RealFFT.apply(series)


def inverse_real_fft(spectrum: Tensor, length: int) -> Tensor:
    """Inverse of :func:`real_fft`; odd lengths, too: (b, length // 2 + 1, d) to (b, length, d)."""
    return _InverseRealFFT.apply(spectrum, length)


class _RealFFT(torch.autograd.Function):
    """Torch's own backward pass makes a complex transform of full length, several times as slow."""

    @staticmethod
    def forward(series: Tensor) -> Tensor:
        return torch.fft.rfft(series, dim=1)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.length = inputs[0].shape[1]

    @staticmethod
    def backward(ctx, gradient: Tensor):
        halved = gradient / _multiplicity(ctx.length, gradient)
        return torch.fft.irfft(halved, n=ctx.length, dim=1, norm="forward")


class _InverseRealFFT(torch.autograd.Function):
    @staticmethod
    def forward(spectrum: Tensor, length: int) -> Tensor:
        return torch.fft.irfft(spectrum, n=length, dim=1)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        _, ctx.length = inputs

    @staticmethod
    def backward(ctx, gradient: Tensor):
        spectrum = torch.fft.rfft(gradient, dim=1)
        return spectrum * (_multiplicity(ctx.length, gradient) / ctx.length), None


def _multiplicity(length: int, like: Tensor) -> Tensor:
    """How often the complex FFT has a frequency of the real one, (f, 1): once at the ends, else twice."""
    counts = torch.full((length // 2 + 1, 1), 2.0, dtype=like.real.dtype, device=like.device)
    counts[0] = 1.0
    if length % 2 == 0:
        counts[-1] = 1.0
    return counts


def fourier_basis(modes: Tensor, length: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine (m, t) of the frequencies ``modes`` (m,) over ``length`` steps.

    A few modes of a long series are cheaper as a product with these rows than by FFT, linear in the length.
    """
    turns = (modes[:, None] * torch.arange(length, device=like.device)) % length  # exact, before rounding
    angles = turns.to(like.dtype) * (2 * torch.pi / length)
    return angles.cos(), angles.sin()


def chosen_modes(series: Tensor, modes: Tensor) -> Tensor:
    """Fourier coefficients of ``modes`` (m,) over time: (b, t, d) to complex (b, m, d)."""
    cosine, sine = fourier_basis(modes, series.shape[1], series)
    real, imaginary = (torch.cat([cosine, -sine]) @ series).chunk(2, dim=1)
    return torch.complex(real, imaginary)


def series_of_modes(coefficients: Tensor, modes: Tensor, length: int) -> Tensor:
    """The real series (b, length, d) whose coefficients at ``modes`` are (b, m, d), and 0 elsewhere."""
    cosine, sine = fourier_basis(modes, length, coefficients.real)
    once = (modes == 0) | (2 * modes == length)
    share = torch.where(once, 1.0, 2.0).to(cosine.dtype)[:, None] / length
    parts = torch.cat([coefficients.real, coefficients.imag], dim=1)  # (b, 2 m, d)
    return torch.cat([cosine * share, -sine * share]).T @ parts
