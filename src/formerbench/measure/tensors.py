"""The exact peak of tensor memory, and the attention kernels that were taken."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

_MB = 2**20
# Names of torch's operators, as its profiler shows them, and ours.
_KERNELS = {
    "aten::_scaled_dot_product_flash_attention_for_cpu": "flash",
    "aten::_scaled_dot_product_flash_attention": "flash",
    "aten::_scaled_dot_product_efficient_attention": "efficient",
    "aten::_scaled_dot_product_cudnn_attention": "cudnn",
    "aten::_scaled_dot_product_attention_math": "math",
}


class Inspection(NamedTuple):
    """What one execution of a call showed.

    Attributes:
        peak_tensor_mb: most bytes at a time of the CPU tensors that the call made, as torch's allocator
            counts them; None on CUDA, whose allocator is asked elsewhere.
        attention_kernel: ``flash``, ``efficient``, ``cudnn`` or ``math`` (which forms the weights), joined by
            ``+`` where there are several, or None where torch's fused attention was not called.
    """

    peak_tensor_mb: float | None
    attention_kernel: str | None


def inspect(call: Callable[[], object], device: str) -> Inspection:
    """Execute ``call`` once under torch's profiler, which makes it slower: time it apart."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as record:
        call()
    events = record.profiler.kineto_results.events()
    kernels = sorted({_KERNELS[event.name()] for event in events if event.name() in _KERNELS})
    peak = None if device == "cuda" else _peak_bytes(events) / _MB
    return Inspection(peak, "+".join(kernels) or None)


def _peak_bytes(events) -> int:
    live = peak = 0
    changes = [event for event in events if event.name() == "[memory]"]
    for change in sorted(changes, key=lambda event: event.start_ns()):
        if change.device_type() == torch.profiler.DeviceType.CPU:
            live += change.nbytes()
            peak = max(peak, live)
    return peak
