"""TFT against a slow reading of the paper and the official code, in float64, and what it must not see."""

import pytest
import torch

from formerbench.errors import StatedError
from formerbench.evaluation import evaluate
from formerbench.models import build
from formerbench.models.batch import Batch

from . import tft_by_hand as by_hand
from .slow import assert_same_function, shaken
from .test_variable_selection import parameters, rand

L, H, V, D, HEADS = 6, 4, 2, 6, 2
OPTIONS = {"d_model": D, "n_heads": HEADS, "dropout": 0.0}
FULL = {"n_marks": 2, "n_past_covariates": 1, "n_known": 1, "n_entities": 5, "n_static_reals": 2}
BARE = {"n_marks": 0}
SHAPES = {
    "full": FULL,
    "bare": BARE,
    "marks": {"n_marks": 2},
    "id": {"n_marks": 1, "n_entities": 5},
    "reals": {"n_marks": 0, "n_known": 1, "n_static_reals": 1},
    "past covariate": {"n_marks": 0, "n_past_covariates": 2},
}


def make(inputs=None, **options):
    torch.manual_seed(0)
    inputs = FULL if inputs is None else inputs
    return shaken(build("tft", lookback=L, horizon=H, n_variates=V, **inputs, **OPTIONS | options))


def batch(b=3, v=V, inputs=None, seed=0):
    inputs = {"n_marks": 0, **(FULL if inputs is None else inputs)}
    field = lambda t, key, seed: rand(b, t, inputs[key], seed=seed) if key in inputs else None  # noqa: E731
    return Batch(
        rand(b, L, v, seed=seed),
        field(L, "n_marks", seed + 1),
        field(H, "n_marks", seed + 2),
        field(L, "n_past_covariates", seed + 3),
        field(L + H, "n_known", seed + 4),
        torch.tensor([3, 1])[:v] if "n_entities" in inputs else None,
        rand(v, inputs["n_static_reals"], seed=seed + 5) if "n_static_reals" in inputs else None,
    )


def slow_quantiles(model, inputs, layers=1):
    """(b, H, v, q) by the equations, a series of a window at a time."""
    w, rows = parameters(model), []
    b, _, v = inputs.past.shape
    none = torch.zeros(b, L + H, 0, dtype=torch.float64)
    known = none if inputs.known is None else inputs.known
    covariates = none[:, :L] if inputs.past_covariates is None else inputs.past_covariates
    past = torch.cat([covariates, inputs.past_marks, known[:, :L]], dim=-1)
    future = torch.cat([inputs.future_marks, known[:, L:]], dim=-1)
    if not future.shape[-1]:
        future = torch.ones(b, H, 1, dtype=torch.float64)
    for i in range(b):
        for j in range(v):
            steps = torch.cat([inputs.past[i, :, j : j + 1], past[i]], dim=-1)
            rows.append(
                by_hand.forecast(
                    w,
                    [*steps],
                    [*future[i]],
                    n_heads=HEADS,
                    layers=layers,
                    first_known=1 + covariates.shape[-1],
                    entity=None if inputs.static_ids is None else int(inputs.static_ids[j]),
                    reals=None if inputs.static_reals is None else inputs.static_reals[j],
                )
            )
    return torch.stack(rows).view(b, v, H, -1).transpose(1, 2)


@pytest.mark.parametrize("kind", SHAPES)
def test_forecast_equals_the_slow_reading(kind):
    model, inputs = make(SHAPES[kind]), batch(inputs=SHAPES[kind])
    with torch.no_grad():
        quantiles = model(inputs, quantiles=True)
        torch.testing.assert_close(quantiles, slow_quantiles(model, inputs))
        assert torch.equal(model(inputs), quantiles[..., 1])


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", ["full", "marks"])
def test_loss_and_gradients_equal_the_slow_reading(kind, layers):
    model, inputs = make(SHAPES[kind], layers=layers), batch(b=2, inputs=SHAPES[kind])
    target = rand(2, H, V, seed=9)
    levels = slow_quantiles(model, inputs, layers)
    pairs = [(target[i, :, j], levels[i, :, j]) for i in range(2) for j in range(V)]
    expected = sum(by_hand.pinball(*pair, (0.1, 0.5, 0.9)) for pair in pairs) / len(pairs)
    assert_same_function(model.loss(inputs, target), expected, parameters(model))


def test_mse_loss_is_of_the_median():
    model, inputs, target = make(loss="mse"), batch(), rand(3, H, V)
    torch.testing.assert_close(model.loss(inputs, target), (model(inputs) - target).pow(2).mean())


def test_levels_are_those_asked_for():
    model = make(quantiles=[0.5, 0.2])
    assert model.quantile_levels == (0.5, 0.2)
    quantiles = model.quantiles(batch())
    assert quantiles.shape == (3, H, V, 2)
    assert torch.equal(model(batch()), quantiles[..., 0])


@pytest.mark.parametrize("field", ["known", "future_marks"])
@pytest.mark.parametrize("step", range(H))
def test_a_future_step_sees_no_later_input(field, step):
    model, inputs = make(), batch()
    changed = getattr(inputs, field).clone()
    changed[:, (L if field == "known" else 0) + step] += 1
    before, after = model(inputs), model(inputs._replace(**{field: changed}))
    assert torch.equal(before[:, :step], after[:, :step])
    assert ((before - after).abs() > 1e-9)[:, step:].all()


def test_every_past_input_is_used():
    model, inputs = make(), batch()
    for field in ("past", "past_covariates", "past_marks", "known", "static_reals"):
        changed = getattr(inputs, field).clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model(inputs._replace(**{field: changed})).pow(2).sum(), changed)
        assert (gradient.abs() > 0).all(), field


def test_a_variate_does_not_see_the_others():
    model, inputs = make(), batch()
    changed = inputs.past.clone()
    changed[..., 1] += 1
    before, after = model(inputs), model(inputs._replace(past=changed))
    torch.testing.assert_close(before[..., 0], after[..., 0])
    assert ((before - after)[..., 1].abs() > 1e-9).all()


def test_entities_with_the_same_history_forecast_by_their_id():
    model, inputs = make(SHAPES["id"]), batch(inputs=SHAPES["id"])
    same = inputs._replace(past=inputs.past[..., :1].expand(-1, -1, V))
    assert ((model(same)[..., 0] - model(same)[..., 1]).abs() > 1e-9).all()
    alike = same._replace(static_ids=torch.tensor([3, 3]))
    torch.testing.assert_close(model(alike)[..., 0], model(alike)[..., 1])


def test_a_window_with_nan_leaves_the_others_alone():
    model, inputs = make(), batch()
    expected = model(inputs)
    inputs.past[0, 2, 1] = float("nan")
    out = model(inputs)
    assert out[0, :, 1].isnan().all()
    torch.testing.assert_close(out[0, :, 0], expected[0, :, 0])
    torch.testing.assert_close(out[1:], expected[1:])


def test_normalise_scales_every_window_and_all_levels_back():
    model, inputs = make(normalise=True), batch()
    moved = inputs._replace(past=inputs.past * 7 + 100)
    mean, sd = (
        x[..., None]
        for x in (inputs.past.mean(1, keepdim=True), inputs.past.std(1, correction=0, keepdim=True))
    )
    out = (model.quantiles(inputs) - mean) / sd
    torch.testing.assert_close(
        (model.quantiles(moved) - (mean * 7 + 100)) / (sd * 7), out, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("kind", ["full", "bare"])
def test_explain_gives_weights_that_sum_to_one(kind):
    model, inputs = make(SHAPES[kind]), batch(inputs=SHAPES[kind])
    shown = model.explain(inputs)
    past = {"full": ("value", "past_covariate_0", "mark_0", "mark_1", "known_0"), "bare": ("value",)}
    future = {"full": ("mark_0", "mark_1", "known_0"), "bare": ("constant",)}
    assert (model.past_variables, model.future_variables) == (past[kind], future[kind])
    shapes = {
        "past_variable_weights": (3, V, L, len(past[kind])),
        "future_variable_weights": (3, V, H, len(future[kind])),
        "attention": (3, V, H, L + H),
        "head_attention": (3, V, HEADS, H, L + H),
    }
    if kind == "full":
        assert model.static_variables == ("entity", "static_real_0", "static_real_1")
        shapes["static_variable_weights"] = (3, V, 3)
    assert {name: tuple(tensor.shape) for name, tensor in shown.items()} == shapes
    for tensor in shown.values():
        torch.testing.assert_close(tensor.sum(-1), torch.ones_like(tensor[..., 0]))
    assert torch.equal(shown["attention"], shown["attention"].tril(L))


def test_variable_weights_are_those_of_the_slow_reading():
    model, inputs = make(), batch()
    w = parameters(model)
    context = by_hand.contexts(w, int(inputs.static_ids[1]), inputs.static_reals[1])[0]
    scalars = [
        inputs.past[2, 4, 1],
        *inputs.past_covariates[2, 4],
        *inputs.past_marks[2, 4],
        *inputs.known[2, 4],
    ]
    _, expected = by_hand.selection(
        w, "past_selection.", by_hand.embed(w, "embedding.", scalars, range(5)), context
    )
    torch.testing.assert_close(model.explain(inputs)["past_variable_weights"][2, 1, 4], expected)


def test_evaluation_takes_one_pass_a_batch_and_scores_the_quantiles(series):
    torch.manual_seed(0)
    model = build("tft", lookback=24, horizon=8, n_variates=3, n_entities=3, d_model=8, n_heads=2)
    passes = []
    model.register_forward_hook(lambda _, inputs, output: passes.append(len(output)))
    results = [evaluate(model, series, 24, 8, batch_size) for batch_size in (50, 113)]
    count = results[0]["n_test_windows"]
    assert passes == [50, 50, count - 100, count]
    for score in ("mse", "mae", "quantile_loss"):
        assert results[0][score] == pytest.approx(results[1][score], rel=1e-5)


def test_an_input_that_is_missing_is_named():
    with pytest.raises(StatedError, match="built for static_ids, and the batch has none"):
        make()(batch()._replace(static_ids=None))
    with pytest.raises(StatedError, match=r"lack 0\.5"):
        make(quantiles=[0.1, 0.9])
