"""One measurement in a process of its own: one side, one configuration, one phase; prints a line of JSON.

python -m tests.peers.once ours informer 96 train_step
"""

import argparse
import json
import statistics
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn

from formerbench.measure import flops
from formerbench.measure.clock import StepClock
from formerbench.measure.load import OtherLoad
from formerbench.measure.memory import PeakMemory, keep_freed_memory, load_libraries
from formerbench.models.batch import count_parameters

from .settings import PHASES, SIDES, Pair, pairs

WARM_UP = 2
LEAST_REPEATS = 3
_SMALL = {"lookback": 48, "d_model": 16, "batch_size": 2}


class Adam:
    """The fused Adam for all parameters; it takes no complex ones, so it gets those as pairs of reals."""

    def __init__(self, model: nn.Module):
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._views = [(each, _real(each.detach())) for each in trained if each.is_complex()]
        reals = [each for each in trained if not each.is_complex()]
        self._optimizer = torch.optim.Adam([*reals, *(view for _, view in self._views)], lr=1e-4, fused=True)

    def zero_grad(self) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        for parameter, _ in self._views:
            parameter.grad = None

    def step(self) -> None:
        for parameter, view in self._views:
            view.grad = _real(parameter.grad)
        self._optimizer.step()


def _real(values: Tensor) -> Tensor:
    return torch.view_as_real(values.resolve_conj())


def prepare(side, pair: Pair, phase: str) -> Callable[[], tuple[nn.Module, Callable, Callable]]:
    """Draw the inputs; gives what builds the model and returns it, its step, and its forward pass."""
    torch.manual_seed(1)
    past = torch.randn(pair.batch_size, pair.lookback, pair.peer.n_variates)
    marks = torch.rand(pair.batch_size, pair.lookback + pair.horizon, pair.peer.n_marks) - 0.5
    target = torch.randn(pair.batch_size, pair.horizon, pair.peer.n_variates)
    batch = side.feed(pair, past, marks)

    def build():
        model = side.build(pair).train(phase == "train_step")
        if phase == "inference":
            forward = torch.no_grad()(lambda: model(batch))
            return model, forward, forward
        optimizer = Adam(model)

        def train() -> None:
            optimizer.zero_grad()
            side.loss(model, batch, target).backward()
            optimizer.step()

        return model, train, lambda: model(batch)

    return build


def rehearse(side, pair: Pair, phase: str) -> None:
    """A step of a tiny twin, so that the code which its operations load is no part of the peak."""
    _, run, _ = prepare(side, replace(pair, **_SMALL), phase)()
    run()


def measure(side, pair: Pair, phase: str, *, threads: int, seconds: float, count: bool) -> dict:
    """Median milliseconds and peak MB of ``phase``; if ``count``, the FLOPs of it and of a forward pass."""
    rehearse(side, pair, phase)
    build = prepare(side, pair, phase)
    load, memory, clock = OtherLoad(), PeakMemory("cpu"), StepClock("cpu")
    model, run, forward = build()
    for _ in range(WARM_UP):
        run()
    while len(clock.times_ms) < LEAST_REPEATS or clock.total_ms < seconds * 1e3:
        with clock.step():
            run()
    peak_mb, busy = memory.mb(), load.busy()
    counted = {"flops": flops.count(forward), "phase_flops": flops.count(run)} if count else {}
    return counted | {
        "ms": statistics.median(clock.times_ms),
        "mb": peak_mb,
        "repeats": len(clock.times_ms),
        "parameters": count_parameters(model),
        "peak": flops.peak("cpu", threads),
        "busy": busy,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("model")
    parser.add_argument("lookback", type=int)
    parser.add_argument("phase", choices=PHASES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to repeat the step")
    parser.add_argument("--count", action="store_true", help="count FLOPs, too: they are the same each time")
    arguments = parser.parse_args()
    # The longest of the peer's models take most of a small machine's memory: end them before anything else.
    Path("/proc/self/oom_score_adj").write_text("1000")
    (pair,) = pairs([arguments.model], [arguments.lookback])
    side = import_module(f".{arguments.side}", __package__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        side.load()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    load_libraries("cpu")
    options = {"threads": arguments.threads, "seconds": arguments.seconds, "count": arguments.count}
    print(json.dumps(measure(side, pair, arguments.phase, **options)))


if __name__ == "__main__":
    main()
