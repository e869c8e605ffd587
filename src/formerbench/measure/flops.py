"""Floating-point operations (FLOP) of a call, and the rate of them that a device reaches at most.

``share_of_peak`` of a step is ``count(step) / (seconds of the step * peak(device, threads))``: 1 would be a
step that is one large matrix product and nothing else. It is the hardware FLOPs utilisation of PaLM
(appendix B, https://arxiv.org/abs/2204.02311), so that work done twice is counted twice, with a measured
peak instead of the maker's.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from formerbench.measure.clock import StepClock

_aten = torch.ops.aten
_FORMULAS: dict = {}
_SIZES = {"cpu": (512, 1024, 2048, 4096), "cuda": (2048, 4096, 8192)}  # each twice the one before


def count(call: Callable[[], object]) -> int:
    """Floating-point operations of one execution of ``call``, forward and backward, on any device.

    Counted are matrix products (with einsum, linear layers and whatever else is made of them), convolutions,
    fused attention, recurrent layers and Fourier transforms. A multiply-add is 2, of complex numbers 8. Not
    counted is what is small beside them and bound by memory: everything elementwise, reductions, softmax,
    normalisation, pooling, dropout, the optimizer's update; nor solvers and decompositions of matrices.

    It is the work that is done, not the least that would do: a layer that is computed again for the backward
    pass (checkpointing, fused attention) counts again, and so do products with zeros of padding or masks.

    What ``torch.compile`` or the fast path of ``torch.nn.TransformerEncoder`` put into one kernel cannot be
    seen inside; their modules are executed uncompiled here, which makes the same products. ``call`` does all
    that it always does: a training step changes the weights and draws random numbers. It is slower than
    outside, so time it apart.
    """
    counter = FlopCounterMode(display=False, custom_mapping=_FORMULAS)
    counter.mod_tracker = _NoModules()
    with torch.compiler.set_stance("force_eager"), _plain_transformers(), counter:
        call()
    return counter.get_total_flops()


class _NoModules(nullcontext):
    """In the place of torch's tracker of modules, which fails on a view of a parameter under ``no_grad``."""

    parents = ("Global",)


def peak(
    device: str, threads: int | None = None, seconds: float = 1.0, dtype: torch.dtype = torch.float32
) -> float:
    """The most FLOP/s that a product of two square matrices reached on ``device``.

    The best repeat at the best of several sizes, at the process's own settings of precision (TF32). Other
    work on the machine lowers it, most of all with several threads: watch for that by ``OtherLoad``. It needs
    up to 200 MB (CPU) or 800 MB (CUDA), so measure memory elsewhere.

    Args:
        device: ``cpu`` or ``cuda``.
        threads: CPU threads while it runs; None leaves their number as it is.
        seconds: to spend, about; sizes that would take longer are left out.
        dtype: of the matrices; the share of a step at another precision than fp32 needs its own peak.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        return _best_rate(device, seconds, dtype)
    finally:
        torch.set_num_threads(before)


def _best_rate(device: str, seconds: float, dtype: torch.dtype) -> float:
    deadline = time.perf_counter() + seconds
    rates: dict[int, float] = {}
    for size in _SIZES[device]:
        # A warm-up and two repeats at the last size's rate.
        if rates and time.perf_counter() + 3 * _flop(size) / rates[size // 2] > deadline:
            break
        rates[size] = _rate(size, device, dtype, seconds=0.0)
    best = max(rates, key=rates.get)
    return max(rates[best], _rate(best, device, dtype, deadline - time.perf_counter()))


def _flop(size: int) -> int:
    return 2 * size**3


def _rate(size: int, device: str, dtype: torch.dtype, seconds: float) -> float:
    """FLOP/s of a product of (size, size) matrices, the best of the repeats that fit into ``seconds``."""
    # Noise, because a GPU runs faster on constants; of a generator of its own, to leave the global one alone.
    noise = torch.Generator(device).manual_seed(0)
    left, right = (torch.rand(size, size, device=device, generator=noise).to(dtype) for _ in range(2))
    out = torch.empty_like(left)
    clock = StepClock(device)
    deadline = time.perf_counter() + seconds
    torch.mm(left, right, out=out)
    while len(clock.read()) < 2 or time.perf_counter() < deadline:
        with clock.step():
            torch.mm(left, right, out=out)
    return _flop(size) / (min(clock.times_ms) / 1e3)


@contextmanager
def _plain_transformers() -> Iterator[None]:
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _counts(*operators):
    """Let the formula count ``operators``, where FlopCounterMode has none or another."""

    def register(formula):
        formula._get_raw = True  # it gets tensors, not only their shapes
        _FORMULAS.update(dict.fromkeys(operators, formula))
        return formula

    return register


@_counts(_aten.mm, _aten.bmm, _aten.mv, _aten.dot, _aten.vdot)
def _product(left: Tensor, right: Tensor, *_, **__) -> int:
    """Every element of ``left`` is multiplied with a row of ``right``; complex: 4 products and 4 sums."""
    columns = right.shape[-1] if right.dim() > 1 else 1
    return (8 if left.is_complex() else 2) * left.numel() * columns


@_counts(_aten.addmm, _aten.baddbmm, _aten.addbmm, _aten.addmv)
def _product_and_sum(_, left: Tensor, right: Tensor, *__, **___) -> int:
    return _product(left, right)


@_counts(_aten.convolution_backward)
def _convolution_backward(gradient: Tensor, series: Tensor, weight: Tensor, *others, **_) -> int:
    """The forward pass's products for each gradient that is wanted, of the input and of the weight.

    FlopCounterMode's own formula takes the weight gradient of a grouped convolution ``groups`` times.
    """
    transposed, *_, wanted = others[4:]
    positions = math.prod((series if transposed else gradient).shape[2:])
    return 2 * series.shape[0] * positions * weight.numel() * sum(wanted[:2])  # the third: of the bias


@_counts(_aten._scaled_dot_product_flash_attention_for_cpu)
def _attention(queries: Tensor, keys: Tensor, values: Tensor, *_, **__) -> int:
    """Queries (b, h, t, d) with keys, and the weights with values (b, h, s, d_v); a causal mask in full."""
    return 2 * queries.shape[:-1].numel() * keys.shape[-2] * (queries.shape[-1] + values.shape[-1])


@_counts(_aten._scaled_dot_product_flash_attention_for_cpu_backward)
def _attention_backward(_, queries: Tensor, keys: Tensor, values: Tensor, *__, **___) -> int:
    """The scores again and four gradients: 5 products where the forward pass has 2 and its own backward 4.

    FlashAttention, algorithm 4 (https://arxiv.org/abs/2205.14135).
    """
    return 2 * queries.shape[:-1].numel() * keys.shape[-2] * (3 * queries.shape[-1] + 2 * values.shape[-1])


@_counts(_aten.mkldnn_rnn_layer)
def _lstm(steps: Tensor, input_weight: Tensor, hidden_weight: Tensor, *_, **__) -> int:
    """One direction of one layer over ``steps`` (t, b, d): both weights, at every step of every series."""
    return _recurrent(steps, [input_weight, hidden_weight])


@_counts(_aten.mkldnn_rnn_layer_backward)
def _lstm_backward(steps: Tensor, input_weight: Tensor, hidden_weight: Tensor, *_, **__) -> int:
    """Gradients of inputs, states and weights, all of them even where nobody asks: twice the forward pass."""
    return 2 * _recurrent(steps, [input_weight, hidden_weight])


@_counts(_aten._cudnn_rnn)
def _recurrent(steps: Tensor, weights: list[Tensor], *_, **__) -> int:
    """All layers and directions, LSTM or GRU: every weight matrix, at every step of every series.

    ``weights`` has the biases too. Steps are padded (t, b, d) or packed (sum of lengths, d).
    """
    return 2 * steps.shape[:-1].numel() * sum(weight.numel() for weight in weights if weight.dim() == 2)


@_counts(_aten._cudnn_rnn_backward)
def _recurrent_backward(steps: Tensor, weights: list[Tensor], *others, **_) -> int:
    """Gradients of inputs and states always, those of the weights where they are wanted."""
    *_, wanted = others
    return (1 + wanted[3]) * _recurrent(steps, weights)


@_counts(_aten._fft_c2c)
def _fft(signal: Tensor, axes: list[int], *_, **__) -> int:
    """5 n log2(n) for n complex points whatever the algorithm, as in benchFFT (https://fftw.org/speed)."""
    return round(5 * signal.numel() * math.log2(math.prod(signal.shape[axis] for axis in axes)))


@_counts(_aten._fft_r2c)
def _fft_of_real(signal: Tensor, axes: list[int], *_, **__) -> int:
    """Half of what the transform of as many complex points takes."""
    return round(_fft(signal, axes) / 2)


@_counts(_aten._fft_c2r)
def _fft_to_real(_, axes: list[int], *__, out_val: Tensor, **___) -> int:
    return _fft_of_real(out_val, axes)
