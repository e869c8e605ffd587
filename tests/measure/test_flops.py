"""What is counted against the same work written out as matrix products, which torch itself counts."""

import math
import time

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from formerbench.measure.flops import count, peak
from formerbench.models import build
from formerbench.models.batch import Batch

aten = torch.ops.aten


def plain_count(call) -> int:
    """What torch counts by itself."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def leaf(*shape, **options):
    return torch.randn(*shape, requires_grad=True, **options)


def backward_count(output, counter=count) -> int:
    return counter(output.sum().backward)


# Fused attention


def explicit_attention(q, k, v):
    return torch.softmax(q @ k.mT, dim=-1) @ v


@pytest.mark.parametrize("keys", [6, 9])
def test_fused_attention_is_its_products(keys):
    q, k, v = leaf(2, 3, 6, 8), leaf(2, 3, keys, 8), leaf(2, 3, keys, 8)
    fused = functional.scaled_dot_product_attention
    assert plain_count(lambda: fused(q, k, v)) == 0  # else torch counts by now, and our formula can go
    assert count(lambda: fused(q, k, v)) == plain_count(lambda: explicit_attention(q, k, v)) > 0


def test_the_backward_pass_of_fused_attention_computes_the_scores_again():
    q, k, v = (leaf(2, 3, 6, 8) for _ in range(3))
    forward = plain_count(lambda: explicit_attention(q, k, v))
    explicit = backward_count(explicit_attention(q, k, v), plain_count)
    fused = backward_count(functional.scaled_dot_product_attention(q, k, v))
    assert explicit == 2 * forward
    assert fused == explicit + plain_count(lambda: q @ k.mT) == 2.5 * forward


@pytest.mark.parametrize(
    "options",
    [{"is_causal": True}, {"dropout_p": 0.1}, {"attn_mask": torch.zeros(6, 6)}],
    ids=lambda options: next(iter(options)),
)
def test_masks_and_dropout_leave_the_products(options):
    q, k, v = (leaf(2, 3, 6, 8) for _ in range(3))
    fused = functional.scaled_dot_product_attention
    assert count(lambda: fused(q, k, v, **options)) == plain_count(lambda: explicit_attention(q, k, v))


def test_fewer_heads_of_keys_serve_all_queries():
    q, k, v = leaf(2, 4, 6, 8), leaf(2, 2, 6, 8), leaf(2, 2, 6, 8)
    repeated = [heads.repeat_interleave(2, dim=1) for heads in (k, v)]
    grouped = count(lambda: functional.scaled_dot_product_attention(q, k, v, enable_gqa=True))
    assert grouped == plain_count(lambda: explicit_attention(q, *repeated))


# Recurrent layers


def unrolled(lstm: nn.LSTM, steps, hidden, cell):
    """An LSTM of one layer, (b, t, d), by two matrix products a step."""
    outputs = []
    for step in steps.unbind(1):
        gates = step @ lstm.weight_ih_l0.T + hidden @ lstm.weight_hh_l0.T + lstm.bias_ih_l0 + lstm.bias_hh_l0
        i, f, g, o = gates.chunk(4, dim=-1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        outputs.append(hidden)
    return torch.stack(outputs, dim=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["fused", "decomposed"])
def test_an_lstm_is_its_unrolled_products(dtype):
    """With gradients wanted of the inputs and of the first state too, backward is twice forward exactly."""
    lstm = nn.LSTM(5, 7, batch_first=True).to(dtype)
    inputs = leaf(3, 6, 5, dtype=dtype), leaf(3, 7, dtype=dtype), leaf(3, 7, dtype=dtype)
    steps, hidden, cell = inputs
    layer = lambda: lstm(steps, (hidden[None], cell[None]))[0]  # noqa: E731
    twin = lambda: unrolled(lstm, *inputs)  # noqa: E731
    torch.testing.assert_close(layer(), twin())
    forward = plain_count(twin)
    assert count(layer) == forward == 2 * 3 * 6 * 4 * 7 * (5 + 7)
    assert backward_count(layer()) == backward_count(twin(), plain_count) == 2 * forward


def test_a_fused_lstm_computes_gradients_that_nobody_asked_for():
    lstm, steps = nn.LSTM(5, 7, batch_first=True), torch.randn(3, 6, 5)
    zeros = torch.zeros(3, 7)
    of_inputs, of_first_state = 2 * 3 * 6 * 4 * 7 * 5, 2 * 3 * 4 * 7 * 7
    fused = backward_count(lstm(steps)[0])
    assert (
        fused == backward_count(unrolled(lstm, steps, zeros, zeros), plain_count) + of_inputs + of_first_state
    )


@pytest.mark.parametrize(
    "options", [{"num_layers": 2}, {"bidirectional": True}, {"num_layers": 2, "bias": False}]
)
def test_an_lstm_of_layers_and_directions_is_the_same_fused_or_not(options):
    lstm = nn.LSTM(5, 7, batch_first=True, **options)
    steps = leaf(3, 6, 5)
    step = lambda dtype: count(lambda: lstm.to(dtype)(steps.to(dtype))[0])  # noqa: E731
    assert step(torch.float32) == step(torch.float64) > 0


def test_a_gru_is_counted():
    gru, steps = nn.GRU(5, 7), torch.randn(6, 3, 5)
    assert count(lambda: gru(steps)) == 2 * 6 * 3 * 3 * 7 * (5 + 7)


class OnCuda(TorchDispatchMode):
    """Stands in for the kernels that only CUDA has: gives tensors of the right types."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is aten._cudnn_rnn.default:
            return (args[0],) * 5
        if func is aten._cudnn_rnn_backward.default:
            return (*(args[0],) * 3, args[1])
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}])
def test_the_cuda_kernel_of_an_lstm_is_counted_like_that_of_the_cpu(options):
    lstm, steps = nn.LSTM(5, 7, num_layers=2, **options), torch.randn(6, 3, 5)
    on_cpu = count(lambda: lstm(steps))
    first = (steps, list(lstm.parameters()), 4, None, steps, steps)
    mode = (2, 7, 0, 2, False, 0.0, True, lstm.bidirectional, [], None)
    backward = (*first[:3], steps, *first[4:], steps, steps, steps, steps, *mode, steps)
    with OnCuda(), torch.no_grad():
        assert count(lambda: aten._cudnn_rnn(*first, *mode)) == on_cpu
        assert count(lambda: aten._cudnn_rnn_backward(*backward, [True] * 4)) == 2 * on_cpu
        assert count(lambda: aten._cudnn_rnn_backward(*backward, [True] * 3 + [False])) == on_cpu


# Complex numbers and Fourier transforms


def complex_leaf(*shape):
    return leaf(*shape, dtype=torch.complex64)


def four_products(product, left, right):
    """A complex product by its definition in real ones."""
    product(left.real, right.real), product(left.imag, right.imag)
    product(left.real, right.imag), product(left.imag, right.real)


@pytest.mark.parametrize(
    ("product", "left", "right"),
    [
        (torch.mm, (3, 4), (4, 5)),
        (torch.bmm, (2, 3, 4), (2, 4, 5)),
        (torch.matmul, (2, 6, 3, 4), (4, 5)),
        (lambda left, right: torch.addmm(torch.zeros(3, 5, dtype=left.dtype), left, right), (3, 4), (4, 5)),
        (lambda left, right: torch.baddbmm(left[:, :, :1], left, right), (2, 3, 4), (2, 4, 5)),
        (lambda left, right: torch.einsum("bhmi,hiom->bhmo", left, right), (2, 3, 4, 5), (3, 5, 6, 4)),
    ],
    ids=["mm", "bmm", "matmul", "addmm", "baddbmm", "einsum"],
)
def test_a_complex_product_is_four_real_ones(product, left, right):
    left, right = complex_leaf(*left), complex_leaf(*right)
    written_out = plain_count(lambda: four_products(product, left, right))
    assert count(lambda: product(left, right)) == written_out > 0
    assert backward_count(product(left, right).abs()) == 2 * written_out


def test_a_complex_convolution_is_the_three_real_ones_that_torch_makes_of_it():
    series, weight = complex_leaf(2, 3, 10), complex_leaf(4, 3, 5)
    real = plain_count(lambda: functional.conv1d(series.real, weight.real))
    assert count(lambda: functional.conv1d(series, weight)) == 3 * real


@pytest.mark.parametrize(
    ("product", "left", "right"),
    [
        (torch.mv, (3, 4), (4,)),
        (torch.dot, (4,), (4,)),
        (torch.vdot, (4,), (4,)),
        (lambda left, right: torch.addmv(left[:, 0], left, right), (3, 4), (4,)),
    ],
    ids=["mv", "dot", "vdot", "addmv"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_vectors_count_like_matrices_of_one_column(product, left, right, dtype):
    left, right = torch.ones(left, dtype=dtype), torch.ones(right, dtype=dtype)
    as_matrices = count(lambda: left.reshape(-1, 4) @ right[:, None])
    assert count(lambda: product(left, right)) == as_matrices > plain_count(lambda: product(left, right)) == 0


def test_a_sum_over_products_of_a_batch_is_a_batch_of_products():
    left, right = torch.ones(2, 3, 4), torch.ones(2, 4, 5)
    assert count(lambda: torch.addbmm(torch.zeros(3, 5), left, right)) == count(lambda: left @ right)


@pytest.mark.parametrize("n", [8, 7, 96, 97])
def test_fourier_transforms(n):
    series, complex_series = torch.randn(3, n, 2), complex_leaf(3, n, 2)
    full = 5 * n * math.log2(n) * 6
    assert count(lambda: torch.fft.fft(complex_series, dim=1)) == round(full)
    assert count(lambda: torch.fft.ifft(complex_series, dim=1)) == round(full)
    spectrum = torch.fft.rfft(series, dim=1)
    assert count(lambda: torch.fft.rfft(series, dim=1)) == pytest.approx(full / 2, abs=1)
    assert count(lambda: torch.fft.irfft(spectrum, n=n, dim=1)) == pytest.approx(full / 2, abs=1)


def test_a_power_of_two_takes_the_butterflies_of_cooley_and_tukey():
    """log2(n) rounds of n / 2 butterflies, each a complex product (6) and two complex sums (2 each)."""
    assert count(lambda: torch.fft.fft(torch.randn(64, dtype=torch.complex64))) == 6 * 32 * (6 + 2 + 2)


def test_the_gradient_of_a_real_transform_is_a_complex_one():
    series = leaf(3, 97, 2)
    spectrum = torch.fft.rfft(series, dim=1)
    assert backward_count(spectrum.abs()) == round(5 * 97 * math.log2(97) * 6)


def test_a_transform_over_two_axes_is_one_over_each():
    series = torch.randn(3, 8, 15, dtype=torch.complex64)
    one_by_one = count(lambda: torch.fft.fft(torch.fft.fft(series, dim=1), dim=2))
    assert count(lambda: torch.fft.fft2(series)) == pytest.approx(one_by_one, abs=1)


# Convolutions


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_is_the_product_with_its_windows(groups, stride):
    series, weight = leaf(2, 4, 12), leaf(8, 4 // groups, 3)
    windows = series.unfold(-1, 3, stride)  # (b, c, t, kernel)
    windows = windows.unflatten(1, (groups, -1)).transpose(2, 3).flatten(3)  # (b, group, t, c kernel)
    by_group = weight.view(groups, 8 // groups, -1).mT  # (group, c kernel, out)
    twin, layer = windows @ by_group, functional.conv1d(series, weight, stride=stride, groups=groups)
    torch.testing.assert_close(layer, twin.transpose(2, 3).flatten(1, 2))
    forward = plain_count(lambda: windows @ by_group)
    assert count(lambda: functional.conv1d(series, weight, stride=stride, groups=groups)) == forward
    assert backward_count(layer) == backward_count(twin, plain_count) == 2 * forward


@pytest.mark.parametrize("convolution", [functional.conv1d, functional.conv_transpose1d])
def test_a_convolution_takes_a_gradient_only_where_it_is_wanted(convolution):
    series, weight = torch.randn(2, 4, 12), leaf(4, 4, 3)
    forward = plain_count(lambda: convolution(series, weight))
    assert backward_count(convolution(series, weight)) == forward
    assert backward_count(convolution(leaf(2, 4, 12), weight)) == 2 * forward


# Programs


class Product(torch.autograd.Function):
    """With a backward pass that is one product too many."""

    @staticmethod
    def forward(ctx, left, right):
        ctx.save_for_backward(left, right)
        return left @ right

    @staticmethod
    def backward(ctx, gradient):
        left, right = ctx.saved_tensors
        left @ right
        return gradient @ right.mT, left.mT @ gradient


def test_a_function_of_ones_own_counts_what_it_does():
    left, right = leaf(3, 4), leaf(4, 5)
    assert count(lambda: Product.apply(left, right).sum().backward()) == 4 * 2 * 3 * 4 * 5


def test_work_that_checkpointing_repeats_is_counted_again():
    layer = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh())
    inputs = leaf(3, 6)
    forward, step = count(lambda: layer(inputs)), count(lambda: layer(inputs).sum().backward())
    again = count(lambda: checkpoint(layer, inputs, use_reentrant=False).sum().backward())
    assert (step, again) == (3 * forward, 4 * forward)


def test_a_mixed_module_is_the_sum_of_its_parts():
    lstm, linear, series = nn.LSTM(5, 5, batch_first=True), nn.Linear(5, 5), torch.randn(2, 6, 5)

    def mixed():
        hidden = linear(lstm(series)[0])[:, None]
        hidden = functional.scaled_dot_product_attention(hidden, hidden, hidden)
        torch.fft.rfft(hidden, dim=2).abs()

    in_lstm, in_linear, in_attention = 2 * 12 * 4 * 5 * 10, 2 * 12 * 25, 2 * 2 * 2 * 36 * 5
    assert count(mixed) == round(in_lstm + in_linear + in_attention + 2.5 * 60 * math.log2(6))


def test_elementwise_work_does_not_count():
    values = leaf(4, 6)
    assert count(lambda: functional.gelu(values).softmax(-1).cumsum(0).std().backward()) == 0
    assert count(lambda: functional.layer_norm(values, (6,)) * functional.avg_pool1d(values, 1)) == 0


def test_inference_of_a_transformer_layer_is_not_hidden_in_its_fast_path():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    tokens = torch.randn(2, 5, 8)
    projections, attention, feed_forward = 2 * 10 * 4 * 64, 2 * 2 * 2 * 2 * 25 * 4, 2 * 10 * 2 * 128
    with torch.no_grad():
        assert count(lambda: layer(tokens)) == projections + attention + feed_forward
    assert torch.backends.mha.get_fastpath_enabled()


def test_what_the_call_raises_comes_through_and_leaves_no_trace():
    def fails():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        count(fails)
    assert torch.backends.mha.get_fastpath_enabled()
    assert not nn.modules.module._global_forward_hooks


# Models

SHAPE = {"lookback": 24, "horizon": 8, "n_variates": 3}
WIDTHS = {"d_model": 16, "n_heads": 2, "d_ff": 32}


def make_model(name: str, **options):
    torch.manual_seed(0)
    return build(name, **SHAPE, **WIDTHS, **options)


def make_batch() -> Batch:
    return Batch(torch.randn(2, 24, 3), torch.randn(2, 24, 4), torch.randn(2, 8, 4))


def counts(model, batch) -> tuple[int, int]:
    """Forward and backward FLOP of a training step."""
    losses = []
    forward = count(lambda: losses.append(model.loss(batch, torch.zeros(2, 8, 3))))
    return forward, count(lambda: losses[0].backward())


def test_a_view_of_a_parameter_may_be_an_input_without_gradients():
    layer, table = nn.Linear(4, 5), nn.Parameter(torch.ones(8, 4))
    with torch.no_grad():
        assert count(lambda: layer(table[:3])) == 2 * 3 * 4 * 5


def test_a_repeated_value_takes_no_flop():
    assert count(lambda: build("repeat", **SHAPE)(make_batch())) == 0


def test_itransformer_is_the_products_of_its_paper():
    model, batch = make_model("itransformer", layers=2, dropout=0.0), make_batch()
    tokens, d = 3 + 4, 16
    layer = 2 * tokens * (4 * d * d + 2 * d * 32) + 2 * 2 * tokens**2 * d
    assert counts(model, batch)[0] == 2 * (2 * tokens * 24 * d + 2 * layer + 2 * 3 * d * 8)


def test_fused_and_materialised_itransformer_differ_by_the_scores_computed_again():
    batch, layers = make_batch(), 3
    options = {"layers": layers, "dropout": 0.0}
    fused = counts(make_model("itransformer", attention="fused", **options), batch)
    materialised = counts(make_model("itransformer", attention="materialised", **options), batch)
    scores = 2 * 2 * 7**2 * 16  # b tokens^2 d, over all heads
    assert fused[0] == materialised[0]
    assert fused[1] == materialised[1] + layers * scores


def test_dropout_of_weights_takes_the_fused_kernel_away_on_the_cpu():
    """Nothing is computed again then, and the fused variant is the materialised one in FLOP as well."""
    batch = make_batch()
    variants = [make_model("itransformer", attention=kind, dropout=0.1) for kind in ("fused", "materialised")]
    assert counts(variants[0], batch) == counts(variants[1], batch)


def test_fused_and_materialised_patchtst_differ_by_the_scores_computed_again():
    batch, options = make_batch(), {"patch_len": 8, "stride": 4, "layers": 1}
    fused = counts(make_model("patchtst", attention="fused", **options), batch)
    materialised = counts(make_model("patchtst", attention="materialised", **options), batch)
    scores = 2 * (2 * 3) * 6**2 * 16  # (b v) patches^2 d, over all heads
    assert fused[0] == materialised[0]
    assert fused[1] == materialised[1] + scores


def test_deeper_layers_of_fused_patchtst_have_wider_products():
    """In layer k the fused kernel has queries and keys of k widths, and values padded with zeros to that."""
    layers, d, series, patches = 3, 16, 2 * 3, 6
    model = make_model("patchtst", attention="fused", patch_len=8, stride=4, layers=layers)
    forward, backward = counts(model, make_batch())
    tokens = series * patches
    embedding = 2 * tokens * 8 * d
    linear = layers * 2 * tokens * (4 * d * d + 2 * d * 32) + 2 * series * patches * d * 8
    product = 2 * series * patches**2 * d
    widths = sum(range(1, layers + 1))
    assert forward == embedding + linear + 2 * widths * product
    assert backward == embedding + 2 * linear + 5 * widths * product  # no gradient of the patches


def test_counting_leaves_the_parameters_and_numbers_of_a_model_alone():
    model, batch = make_model("patchtst", patch_len=8, stride=4).eval(), make_batch()
    expected = model(batch)
    results = []
    count(lambda: results.append(model(batch)))
    assert torch.equal(results[0], expected)


def test_a_compiled_model_counts_like_itself_and_is_still_compiled_later():
    graphs, batch = [], make_batch()

    def backend(graph, inputs):
        graphs.append(graph)
        return graph

    options = {"layers": 1, "dropout": 0.0}
    model = make_model("itransformer", **options)
    uncompiled = counts(model, batch)
    model.compile(backend=backend)
    assert counts(model, batch) == uncompiled
    assert not graphs
    model(batch)
    assert graphs
    assert counts(model, batch) == uncompiled


# The peak


def test_the_peak_is_a_rate_of_matrix_products():
    best = peak("cpu", threads=1, seconds=0.5)
    assert 1e9 < best < 1e15
    size = 512
    values, times = torch.randn(size, size), []
    for _ in range(5):
        began = time.perf_counter()
        values * values
        times.append(time.perf_counter() - began)
    assert best > 2 * size**2 / min(times)


def test_the_peak_is_the_best_repeat_of_the_best_size(monkeypatch):
    """On a machine where 1024 is the best size, and where every other product is disturbed."""
    calls, seconds = [], {512: 0.01, 1024: 0.02, 2048: 0.4, 4096: 9.0}

    def product(left, right, out):
        calls.append(len(left))
        time.sleep(seconds[len(left)] * (1 + len(calls) % 2))

    monkeypatch.setattr(torch, "mm", product)
    assert peak("cpu", seconds=2.5) == pytest.approx(2 * 1024**3 / 0.02, rel=0.05)
    assert set(calls) == {512, 1024, 2048}  # a size for which the time does not last is left out
    assert calls[-1] == 1024  # and what is left of the time is the best size's


def test_the_peak_runs_on_the_threads_it_is_given_and_gives_them_back(monkeypatch):
    seen, product = [], torch.mm
    watched = lambda *args, **options: (seen.append(torch.get_num_threads()), product(*args, **options))  # noqa: E731
    monkeypatch.setattr(torch, "mm", watched)
    before, state = torch.get_num_threads(), torch.random.get_rng_state()
    peak("cpu", threads=before + 1, seconds=0.01)
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before
    peak("cpu", seconds=0.01)
    assert seen[-1] == before
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_peak_takes_about_the_time_it_is_given():
    began = time.perf_counter()
    peak("cpu", threads=1, seconds=0.5)
    assert time.perf_counter() - began < 3


def test_the_peak_at_another_precision():
    assert peak("cpu", threads=1, seconds=0.1, dtype=torch.float64) < peak("cpu", threads=1, seconds=0.3)
