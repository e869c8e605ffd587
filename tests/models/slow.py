"""Slow, obvious readings of what models share, in loops and for one sample, and how to compare with them."""

import math

import torch
from torch import nn


def shaken(module):
    """``module`` in float64, its norms such that they would be noticed if they were left out."""
    for part in module.double().modules():
        if isinstance(part, nn.LayerNorm | nn.BatchNorm1d):
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.uniform_(part.bias, -1, 1)
        if isinstance(part, nn.BatchNorm1d):
            nn.init.uniform_(part.running_mean, -1, 1)
            nn.init.uniform_(part.running_var, 0.5, 2)
    return module


def assert_same_function(found, expected, inputs):
    """Compare two tensors and the gradients that they give to every one of ``inputs``, by name."""
    torch.testing.assert_close(found, expected)
    direction = torch.randn_like(found)
    wanted = {name: tensor for name, tensor in inputs.items() if tensor.requires_grad}
    gradients = (
        torch.autograd.grad((x * direction).sum(), wanted.values(), allow_unused=True, materialize_grads=True)
        for x in (found, expected)
    )
    for name, mine, other in zip(wanted, *gradients, strict=True):
        torch.testing.assert_close(mine, other, msg=lambda text, name=name: f"{name}: {text}")


def moving_average(series, kernel):
    """(t, c) with the ends repeated; of an even kernel the longer side lies in front."""
    front = kernel - 1 - (kernel - 1) // 2
    last = len(series) - 1
    rows = []
    for t in range(len(series)):
        around = [series[min(max(t - front + i, 0), last)] for i in range(kernel)]
        rows.append(sum(around) / kernel)
    return torch.stack(rows)


def embed(weights, prefix, values, marks):
    """Circular convolution of width 3 over the values (t, v) plus a linear map of the marks (t, f)."""
    rows = []
    for t in range(len(values)):
        around = torch.cat([values[t - 1], values[t], values[(t + 1) % len(values)]])
        rows.append(weights[prefix + "values.weight"] @ around + weights[prefix + "marks.weight"] @ marks[t])
    return torch.stack(rows)


def linear(weights, prefix, series):
    return torch.stack([weights[prefix + "weight"] @ row + weights[prefix + "bias"] for row in series])


def feed_forward(weights, prefix, series):
    rows = []
    for row in series:
        hidden = weights[prefix + "0.weight"] @ row
        if prefix + "0.bias" in weights:
            hidden = hidden + weights[prefix + "0.bias"]
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        row = weights[prefix + "3.weight"] @ hidden
        rows.append(row + weights[prefix + "3.bias"] if prefix + "3.bias" in weights else row)
    return torch.stack(rows)


def attention(queries, keys, values, n_heads):
    """Full attention (t, d) of one sample, heads side by side."""
    heads = []
    for q, k, v in zip(*(x.chunk(n_heads, dim=1) for x in (queries, keys, values)), strict=True):
        rows = []
        for query in q:
            weights = torch.softmax(torch.stack([query @ key / math.sqrt(len(key)) for key in k]), 0)
            rows.append(sum(weight * value for weight, value in zip(weights, v, strict=True)))
        heads.append(torch.stack(rows))
    return torch.cat(heads, dim=1)


def layer_norm(weights, prefix, series):
    rows = []
    for row in series:
        scaled = (row - row.mean()) / (row.var(correction=0) + 1e-5).sqrt()
        rows.append(scaled * weights[prefix + "weight"] + weights[prefix + "bias"])
    return torch.stack(rows)


def batch_norm(weights, prefix, series):
    """In evaluation, by the running statistics."""
    mean, variance = weights[prefix + "running_mean"], weights[prefix + "running_var"]
    scaled = [(row - mean) / (variance + 1e-5).sqrt() for row in series]
    return torch.stack([row * weights[prefix + "weight"] + weights[prefix + "bias"] for row in scaled])


def seasonal_norm(weights, prefix, series):
    normed = layer_norm(weights, prefix, series)
    return normed - sum(normed) / len(normed)


def progressive_forecast(weights, config, past, past_marks, future_marks, attend, decompose):
    """Seasonal part and trend of the forecast of one sample, by Autoformer's section 3.1.

    ``attend(prefix, series, source)`` is the attention of the layer with that prefix; ``decompose(series)``
    gives the seasonal part and the trend.
    """
    tokens = embed(weights, "encoder_embedding.", past, past_marks)
    for i in range(config.layers):
        prefix = f"encoder.{i}."
        tokens, _ = decompose(tokens + attend(prefix + "attention.", tokens, tokens))
        tokens, _ = decompose(tokens + feed_forward(weights, prefix + "feed_forward.", tokens))
    source = seasonal_norm(weights, "encoder_norm.", tokens)
    seasonal, trend = decompose(past)
    horizon = len(future_marks)
    start = len(past) - config.label_len
    seasonal = torch.cat([seasonal[start:], torch.zeros_like(past[:1]).expand(horizon, -1)])
    trend = torch.cat([trend[start:], (sum(past) / len(past)).expand(horizon, -1)])
    tokens = embed(weights, "decoder_embedding.", seasonal, torch.cat([past_marks[start:], future_marks]))
    for i in range(config.decoder_layers):
        prefix = f"decoder.{i}."
        tokens, first = decompose(tokens + attend(prefix + "attention.", tokens, tokens))
        tokens, second = decompose(tokens + attend(prefix + "cross_attention.", tokens, source))
        tokens, third = decompose(tokens + feed_forward(weights, prefix + "feed_forward.", tokens))
        taken_out = first + second + third
        around = [
            torch.cat([taken_out[t - 1], taken_out[t], taken_out[(t + 1) % len(taken_out)]])
            for t in range(len(taken_out))
        ]
        trend = trend + torch.stack([weights[prefix + "trend.weight"] @ row for row in around])
    seasonal = linear(weights, "head.", seasonal_norm(weights, "decoder_norm.", tokens))
    return seasonal[-horizon:], trend[-horizon:]
