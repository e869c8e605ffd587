"""The Temporal Fusion Transformer as its paper writes it: one vector at a time, equation by equation.

Every function takes ``w``, a dict of a module's parameters by name, and the prefix of the part it computes.
"""

import math

import torch


def dense(w, prefix, x):
    bias = w.get(prefix + "bias")
    return w[prefix + "weight"] @ x + (0 if bias is None else bias)


def layer_norm(w, prefix, x):
    centred = x - x.mean()
    return centred / (centred.pow(2).mean() + 1e-3).sqrt() * w[prefix + "weight"] + w[prefix + "bias"]


def glu(w, prefix, x):
    """Eq. 5; the rows of W5 come before those of W4."""
    both = dense(w, prefix + "project.", x)
    half = len(both) // 2
    return both[:half] / (1 + torch.exp(-both[half:]))


def gated_skip(w, prefix, x, skip):
    return layer_norm(w, prefix + "norm.", skip + glu(w, prefix + "gate.", x))


def grn(w, prefix, a, context=None):
    """Eqs. 2 to 4."""
    eta_2 = dense(w, prefix + "enter.", a)
    if context is not None:
        eta_2 = eta_2 + w[prefix + "context.weight"] @ context
    eta_2 = torch.stack([x if x > 0 else torch.exp(x) - 1 for x in eta_2])
    eta_1 = dense(w, prefix + "inner.", eta_2)
    skip = dense(w, prefix + "skip.", a) if prefix + "skip.weight" in w else a
    return gated_skip(w, prefix + "gated_skip.", eta_1, skip)


def selection(w, prefix, variables, context=None):
    """Eqs. 6 to 8: the selected vector and the weights."""
    weights = [torch.ones((), dtype=torch.float64)]
    if len(variables) > 1:
        scores = grn(w, prefix + "choose.", torch.cat(variables), context)
        weights = torch.exp(scores) / torch.exp(scores).sum()
    transformed = [grn(w, f"{prefix}variables.{j}.", x) for j, x in enumerate(variables)]
    return sum(a * x for a, x in zip(weights, transformed, strict=True)), weights


def lstm(w, prefix, steps, hidden, cell, layers):
    """Outputs of every step and the last (hidden, cell), lists over layers."""
    hidden, cell = list(hidden), list(cell)
    outputs = []
    for x in steps:
        for n in range(layers):
            of_input = w[f"{prefix}weight_ih_l{n}"] @ x + w[f"{prefix}bias_ih_l{n}"]
            of_state = w[f"{prefix}weight_hh_l{n}"] @ hidden[n] + w[f"{prefix}bias_hh_l{n}"]
            i, f, g, o = (of_input + of_state).chunk(4)
            cell[n] = torch.sigmoid(f) * cell[n] + torch.sigmoid(i) * torch.tanh(g)
            hidden[n] = x = torch.sigmoid(o) * torch.tanh(cell[n])
        outputs.append(x)
    return outputs, hidden, cell


def attention(w, prefix, tokens, n_queries, n_heads):
    """Eqs. 13 to 16 with the mask of section 4.4: vectors of the last steps, weights [step][head]."""
    width = len(w[prefix + "values.weight"])
    values = [w[prefix + "values.weight"] @ x for x in tokens]
    outputs, maps = [], []
    for t in range(len(tokens) - n_queries, len(tokens)):
        heads, of_step = [], []
        for head in range(n_heads):
            rows = slice(head * width, (head + 1) * width)
            query = w[prefix + "queries.weight"][rows] @ tokens[t]
            keys = [w[prefix + "keys.weight"][rows] @ tokens[s] for s in range(t + 1)]
            scores = torch.exp(torch.stack([query @ key / math.sqrt(width) for key in keys]))
            weights = scores / scores.sum()
            of_step.append(weights)
            heads.append(sum(a * values[s] for s, a in enumerate(weights)))
        outputs.append(w[prefix + "out.weight"] @ (sum(heads) / n_heads))
        maps.append(of_step)
    return outputs, maps


def embed(w, prefix, scalars, rows):
    return [x * w[prefix + "weight"][j] + w[prefix + "bias"][j] for x, j in zip(scalars, rows, strict=True)]


def contexts(w, entity, reals):
    """The four contexts of one entity: selection, enrichment, hidden state, cell state."""
    variables = [] if entity is None else [w["statics.entity.weight"][entity]]
    if reals is not None:
        variables += embed(w, "statics.reals.", reals, range(len(reals)))
    static, _ = selection(w, "statics.selection.", variables)
    return [grn(w, f"statics.contexts.{i}.", static) for i in range(4)]


def forecast(w, past, future, *, n_heads, layers, first_known, entity=None, reals=None):
    """Quantiles (H, q) of one series of one window.

    ``past`` lists the scalars of each past step, own value first, ``future`` those of each future step, which
    are the past's from number ``first_known`` on.
    """
    has_statics = entity is not None or reals is not None
    zero = torch.zeros_like(w["head.weight"][0])
    c_s, c_e, c_h, c_c = contexts(w, entity, reals) if has_statics else (None, None, zero, zero)
    rows = range(first_known, first_known + len(future[0]))
    features = [
        selection(w, "past_selection.", embed(w, "embedding.", x, range(len(x))), c_s)[0] for x in past
    ] + [selection(w, "future_selection.", embed(w, "embedding.", x, rows), c_s)[0] for x in future]
    n = len(past)
    history, *state = lstm(w, "recurrence.encoder.", features[:n], [c_h] * layers, [c_c] * layers, layers)
    ahead, _, _ = lstm(w, "recurrence.decoder.", features[n:], *state, layers)
    pairs = zip(history + ahead, features, strict=True)
    temporal = [gated_skip(w, "recurrence.gated_skip.", x, skip) for x, skip in pairs]  # eq. 17
    enriched = [grn(w, "enrichment.", x, c_e) for x in temporal]  # eq. 18
    attended, _ = attention(w, "decoder.attention.", enriched, len(future), n_heads)  # eq. 19
    levels = []
    for beta, theta, phi in zip(attended, enriched[n:], temporal[n:], strict=True):
        delta = gated_skip(w, "decoder.attention_skip.", beta, theta)  # eq. 20
        psi = grn(w, "decoder.feed_forward.", delta)  # eq. 21
        levels.append(dense(w, "head.", gated_skip(w, "decoder.last_skip.", psi, phi)))  # eqs. 22, 23
    return torch.stack(levels)


def pinball(target, levels, quantile_levels):
    """Eqs. 24 and 25 for one series, the sum over levels of the mean over steps."""
    total = 0
    for y, row in zip(target, levels, strict=True):
        for q, forecast_ in zip(quantile_levels, row, strict=True):
            total = total + q * torch.relu(y - forecast_) + (1 - q) * torch.relu(forecast_ - y)
    return total / len(target)
