"""One measurement, in the process that nothing else was done in; tells its parent how far it is."""

import gc
from collections.abc import Callable

import torch

from formerbench.measure import flops
from formerbench.measure.load import OtherLoad
from formerbench.measure.memory import PeakMemory, limit_device_memory
from formerbench.measure.prepare import prepare, rehearse, without_compiler
from formerbench.measure.stopwatch import steady_times_ms
from formerbench.measure.tensors import inspect
from formerbench.measure.work import IN_DEPTH, Work
from formerbench.models.batch import count_parameters

Tell = Callable[[dict], None]


def measure(
    work: Work,
    seconds: float,
    tell: Tell,
    *,
    in_depth: bool,
    least: int,
    device_memory_mb: float | None = None,
) -> None:
    """Measure ``work`` and ``tell`` the columns as they come.

    First times and resident memory, undisturbed; then, if ``in_depth``, once more each and slower, the exact
    peak of tensors and the floating-point operations. ``least`` repeats are made in any case. Dicts with
    ``reached`` say what was begun. To take more than ``device_memory_mb`` of a CUDA device is an error.
    """
    torch.set_num_threads(work.threads)
    if device_memory_mb is not None:
        limit_device_memory(device_memory_mb)
    tell({"reached": "rehearsal"})
    rehearse(work)
    load, memory = OtherLoad(), PeakMemory(work.device)
    tell({"reached": "building", "baseline_mb": memory.baseline_mb, "memory_method": memory.method})
    model, run = prepare(work)
    if work.compiled:
        tell({"reached": "compiling"})
        run()
        load = OtherLoad()  # compilers are processes of their own, and no disturbance
    tell({"reached": work.phase, "n_parameters": count_parameters(model)})
    times_ms = steady_times_ms(run, work.device, seconds, least=least)
    # Resident memory would be the compiler's, which takes more than the model.
    peak_mb = None if work.compiled and work.device == "cpu" else memory.mb()
    tell({"times_ms": times_ms, "peak_memory_mb": peak_mb, "busy": load.busy(), **_on_cuda(work)})
    if in_depth:
        del model, run
        gc.collect()
        _in_depth(work, tell)
    tell({"reached": None})


def _in_depth(work: Work, tell: Tell) -> None:
    tensors, operations = IN_DEPTH
    tell({"reached": tensors})
    tell(inspect(lambda: _twice(work), work.device)._asdict())
    tell({"reached": operations})
    _, run = prepare(without_compiler(work))
    tell({"flops": flops.count(run)})


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
        "gpu": torch.cuda.get_device_name(),
    }
