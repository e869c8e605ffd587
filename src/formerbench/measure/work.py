"""What is measured: a model with random inputs of a given shape, in training or in inference."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import Tensor

from formerbench.measure.memory import load_libraries
from formerbench.models import build
from formerbench.models.batch import Batch
from formerbench.training import autocast

PHASES = ("train_step", "inference")
N_MARKS = 4


@dataclass(frozen=True, kw_only=True)
class Work:
    """One measurement: a model, a shape, and what is done with it.

    Attributes:
        phase: ``train_step`` (zero_grad, forward, loss, backward, Adam) or ``inference`` (forward only).
        options: hyper-parameters of the model.
    """

    model: str
    lookback: int
    horizon: int
    n_variates: int
    batch_size: int
    phase: str
    device: str = "cpu"
    precision: str = "fp32"
    threads: int = 1
    options: dict = field(default_factory=dict)

    def as_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


def prepare(work: Work) -> tuple[torch.nn.Module, Callable[[], object]]:
    """The model, and what does the phase once.

    Outside of what is returned, and so of every clock: drawing the inputs, building the model and the
    optimizer. Inside: the phase, nothing else.
    """
    random = torch.Generator().manual_seed(0)
    batch, target = _inputs(work, random)
    torch.manual_seed(0)
    model = build(
        work.model,
        lookback=work.lookback,
        horizon=work.horizon,
        n_variates=work.n_variates,
        n_marks=N_MARKS,
        season=min(24, work.lookback),
        **work.options,
    ).to(work.device)
    if work.phase == "inference":
        return model.eval(), _inference(model, batch, work)
    return model.train(), _train_step(model, batch, target, work)


def rehearse(work: Work) -> None:
    """Do the phase once with a small twin, so that the code it loads is no part of a peak."""
    load_libraries(work.device)
    enough = max(96, 2 * work.options.get("label_len", 48))
    small = {"lookback": min(work.lookback, enough), "horizon": min(work.horizon, 24), "batch_size": 1}
    _, run = prepare(replace(work, **small))
    run()


def _inputs(work: Work, random: torch.Generator) -> tuple[Batch, Tensor]:
    b, v = work.batch_size, work.n_variates

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random).to(work.device)

    past, target = draw(b, work.lookback, v), draw(b, work.horizon, v)
    marks = draw(b, work.lookback + work.horizon, N_MARKS)
    past_marks, future_marks = marks[:, : work.lookback], marks[:, work.lookback :]
    return Batch(past, past_marks, future_marks, static_ids=torch.arange(v, device=work.device)), target


def _inference(model: torch.nn.Module, batch: Batch, work: Work) -> Callable[[], object]:
    @torch.no_grad()
    def run():
        with autocast(work.device, work.precision):
            return model(batch)

    return run


def _train_step(model: torch.nn.Module, batch: Batch, target: Tensor, work: Work) -> Callable[[], object]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-4, fused=True)
    scaler = torch.amp.GradScaler(work.device, enabled=work.precision == "fp16")

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(work.device, work.precision):
            loss = model.loss(batch, target)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return run
