"""One measurement, in the process that nothing else was done in; tells its parent how far it is."""

import gc
from collections.abc import Callable

import torch

from formerbench.measure import flops
from formerbench.measure.load import OtherLoad
from formerbench.measure.memory import PeakMemory
from formerbench.measure.stopwatch import steady_times_ms
from formerbench.measure.tensors import inspect
from formerbench.measure.work import Work, prepare, rehearse
from formerbench.models.batch import count_parameters

Tell = Callable[[dict], None]


def measure(work: Work, seconds: float, tell: Tell) -> None:
    """Measure ``work`` and ``tell`` the columns as they come.

    First times and resident memory, undisturbed; then, once more each and slower, the exact peak of tensors
    and the floating-point operations. Dicts with ``reached`` say what was begun.
    """
    torch.set_num_threads(work.threads)
    tell({"reached": "rehearsal"})
    rehearse(work)
    load, memory = OtherLoad(), PeakMemory(work.device)
    tell({"reached": "building", "baseline_mb": memory.baseline_mb, "memory_method": memory.method})
    model, run = prepare(work)
    tell({"reached": work.phase, "n_parameters": count_parameters(model)})
    times_ms = steady_times_ms(run, work.device, seconds)
    tell({"times_ms": times_ms, "peak_memory_mb": memory.mb(), "busy": load.busy(), **_on_cuda(work)})
    del model, run
    gc.collect()
    tell({"reached": "tensors"})
    tell(inspect(lambda: _twice(work), work.device)._asdict())
    tell({"reached": "flops"})
    _, run = prepare(work)
    tell({"flops": flops.count(run), "reached": None})


def _twice(work: Work) -> None:
    """The optimizer makes its state in the first step, so that the second has the peak."""
    _, run = prepare(work)
    run()
    run()


def _on_cuda(work: Work) -> dict:
    if work.device != "cuda":
        return {}
    return {
        "peak_tensor_mb": torch.cuda.max_memory_allocated() / 2**20,
        "peak_reserved_mb": torch.cuda.max_memory_reserved() / 2**20,
    }


def machine_peak(device: str, threads: int, tell: Tell) -> None:
    """Tell the FLOP/s of a large matrix product."""
    tell({"flop_per_s": flops.peak(device, threads)})
