"""Gates, variable selection and interpretable attention against the paper's equations, in float64."""

import pytest
import torch
from torch import nn

from formerbench.models.layers.gating import GatedLinearUnit, GatedResidualNetwork, GatedSkip
from formerbench.models.layers.interpretable_attention import InterpretableAttention
from formerbench.models.layers.variable_selection import (
    ScalarEmbedding,
    ScalarVariableSelection,
    VariableSelection,
)

from . import tft_by_hand as by_hand
from .slow import shaken

D = 6


def parameters(module):
    return dict(module.named_parameters())


def rand(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_gated_linear_unit_is_equation_5():
    layer, x = shaken(GatedLinearUnit(5, D, dropout=0.3)).eval(), rand(4, 5)
    expected = [by_hand.glu(parameters(layer), "", row) for row in x]
    torch.testing.assert_close(layer(x), torch.stack(expected))


def test_dropout_falls_on_the_input_of_the_gate_alone():
    skip = GatedSkip(D, D, dropout=0.999)
    with torch.no_grad():
        expected = skip.norm(nn.functional.glu(skip.gate.project.bias, dim=-1) + 1.0)
    torch.testing.assert_close(skip(torch.randn(1, D), torch.ones(1, D))[0], expected)


@pytest.mark.parametrize("d_context", [0, 3])
@pytest.mark.parametrize("d_out", [D, 4])
@pytest.mark.parametrize("d_in", [D, 5])
def test_gated_residual_network_is_equations_2_to_4(d_in, d_out, d_context):
    layer = shaken(GatedResidualNetwork(d_in, D, d_out, dropout=0.0, d_context=d_context))
    x, context = rand(2, 3, d_in), rand(3, d_context, seed=1) if d_context else None
    expected = [
        [
            by_hand.grn(parameters(layer), "", x[i, j], None if context is None else context[j])
            for j in range(3)
        ]
        for i in range(2)
    ]
    torch.testing.assert_close(layer(x, context), torch.stack([torch.stack(row) for row in expected]))


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("d_context", [0, D])
def test_variable_selection_is_equations_6_to_8(n, d_context):
    layer = shaken(VariableSelection(n, D, dropout=0.0, d_context=d_context))
    embedded, context = rand(4, n, D), rand(4, D, seed=1) if d_context else None
    selected, weights = layer(embedded, context)
    for i in range(4):
        each = by_hand.selection(
            parameters(layer), "", [*embedded[i]], None if context is None else context[i]
        )
        torch.testing.assert_close(selected[i], each[0])
        torch.testing.assert_close([*weights[i]], [*each[1]])


@pytest.mark.parametrize("d_context", [0, D])
@pytest.mark.parametrize(("n_own", "n_shared", "v"), [(1, 3, 1), (1, 3, 2), (2, 0, 2), (1, 0, 2), (0, 3, 2)])
def test_selection_of_scalars_is_that_of_their_embeddings(n_own, n_shared, v, d_context):
    n, t, b = n_own + n_shared, 4, 2
    torch.manual_seed(n_own)
    embedding = shaken(ScalarEmbedding(n, D))
    layer = shaken(ScalarVariableSelection(n, D, dropout=0.0, d_context=d_context))
    plain = VariableSelection(n, D, dropout=0.0, d_context=d_context).double()
    plain.load_state_dict(layer.state_dict())
    own = rand(t, b, v, n_own) if n_own else None
    shared = rand(t, b, 1, n_shared, seed=1) if n_shared else None
    context = rand(v, D, seed=2) if d_context else None
    scalars = torch.cat([part.expand(-1, -1, v, -1) for part in (own, shared) if part is not None], dim=-1)
    expected, expected_weights = plain(embedding(scalars), context)
    selected, weights = layer(own, shared, (embedding.weight, embedding.bias), context)
    torch.testing.assert_close(selected.expand_as(expected), expected)
    torch.testing.assert_close(weights.expand_as(expected_weights), expected_weights)

    direction = rand(*expected.shape, seed=3)
    (selected * direction).sum().backward()
    gradients = [
        *torch.autograd.grad((expected * direction).sum(), [*plain.parameters(), *embedding.parameters()])
    ]
    for mine, other in zip([*layer.parameters(), *embedding.parameters()], gradients, strict=True):
        torch.testing.assert_close(mine.grad, other)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("n_queries", [1, 3, 5])
def test_interpretable_attention_is_equations_13_to_16(fused, n_queries):
    layer = InterpretableAttention(D, 3, dropout=0.0, fused=fused).double()
    tokens = rand(5, 2, D)
    out, weights = layer(tokens, n_queries), layer.weights(tokens, n_queries)
    assert out.shape == (n_queries, 2, D)
    for b in range(2):
        expected, maps = by_hand.attention(parameters(layer), "", [*tokens[:, b]], n_queries, 3)
        torch.testing.assert_close(out[:, b], torch.stack(expected))
        for i in range(n_queries):
            for head in range(3):
                seen = len(maps[i][head])
                torch.testing.assert_close(weights[b, head, i, :seen], maps[i][head])
                assert torch.all(weights[b, head, i, seen:] == 0)


def test_dropout_falls_on_each_head_and_on_the_result():
    layer, shapes = InterpretableAttention(D, 3, dropout=0.1, fused=True), []
    layer.dropout.register_forward_hook(lambda *call: shapes.append(tuple(call[-1].shape)))
    layer(torch.randn(5, 2, D), 4)
    assert shapes == [(2, 3, 4, D // 3), (4, 2, D)]


def test_fused_attention_never_forms_the_weights():
    """Of 2 x 300 x 600 weights a head nothing is kept for the backward pass."""
    layer, sizes = InterpretableAttention(32, 2, dropout=0.1, fused=True), []
    tokens = torch.randn(600, 2, 32)
    with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
        layer(tokens, 300)
    assert max(sizes) < 2 * 2 * 300 * 600
