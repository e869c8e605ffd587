"""Turns work into something to call: a model or a mechanism with random inputs of the given shape."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from formerbench.measure.memory import load_libraries
from formerbench.measure.work import Work
from formerbench.models import build, build_mechanism
from formerbench.models.batch import Batch
from formerbench.training_step import TrainingStep, autocast

N_MARKS = 4


def prepare(work: Work) -> tuple[torch.nn.Module, Callable[[], object]]:
    """The model or mechanism, and what does the phase once.

    Outside of what is returned, and so of every clock: drawing the inputs, building the model and the
    optimizer. Inside: the phase, nothing else.
    """
    random = torch.Generator().manual_seed(0)
    return _mechanism(work, random) if work.mechanism else _model(work, random)


def rehearse(work: Work) -> None:
    """Do the phase once with a small twin, so that the code it loads is no part of a peak."""
    load_libraries(work.device)
    enough = max(96, 2 * work.options.get("label_len", 48))
    small = {"lookback": min(work.lookback, enough), "horizon": min(work.horizon, 24), "batch_size": 1}
    _, run = prepare(replace(without_compiler(work), **small))
    run()


def without_compiler(work: Work) -> Work:
    """The same function, not compiled."""
    return replace(work, options=work.options | {"compile": False}) if work.compiled else work


def _model(work: Work, random: torch.Generator) -> tuple[torch.nn.Module, Callable[[], object]]:
    batch, target = _inputs(work, random)
    torch.manual_seed(0)
    model = build(
        work.subject, n_marks=N_MARKS, season=min(24, work.lookback), **_sizes(work), **work.options
    ).to(work.device)
    if work.phase == "inference":
        return model.eval(), _forward(model, batch, work)
    take_step = TrainingStep(model.train(), device=work.device, precision=work.precision, learning_rate=1e-4)
    return model, lambda: take_step(batch, target)


def _sizes(work: Work) -> dict:
    return {"lookback": work.lookback, "horizon": work.horizon, "n_variates": work.n_variates}


def _inputs(work: Work, random: torch.Generator) -> tuple[Batch, Tensor]:
    b, v = work.batch_size, work.n_variates

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random).to(work.device)

    past, target = draw(b, work.lookback, v), draw(b, work.horizon, v)
    marks = draw(b, work.lookback + work.horizon, N_MARKS)
    past_marks, future_marks = marks[:, : work.lookback], marks[:, work.lookback :]
    return Batch(past, past_marks, future_marks, static_ids=torch.arange(v, device=work.device)), target


def _mechanism(work: Work, random: torch.Generator) -> tuple[torch.nn.Module, Callable[[], object]]:
    torch.manual_seed(0)
    mechanism = build_mechanism(work.subject, **_sizes(work), **work.options).to(work.device)
    inputs = mechanism.inputs(work.batch_size, random).to(work.device)
    if work.phase == "inference":
        return mechanism.eval(), _forward(mechanism, inputs, work)
    inputs.requires_grad_()  # as within a model, where something comes before

    def forward_and_backward() -> None:
        inputs.grad = None
        mechanism.zero_grad(set_to_none=True)
        with autocast(work.device, work.precision):
            out = mechanism(inputs)
        out.float().square().mean().backward()

    return mechanism.train(), forward_and_backward


def _forward(module: torch.nn.Module, inputs: Batch | Tensor, work: Work) -> Callable[[], object]:
    @torch.no_grad()
    def run():
        with autocast(work.device, work.precision):
            return module(inputs)

    return run
