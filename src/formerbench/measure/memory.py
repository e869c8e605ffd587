"""Peak memory of a phase, in MB (2**20 bytes) above where it began.

On CUDA: the allocator's peak. On Linux: the kernel's own high-water mark of resident memory (``VmHWM``),
set back through ``clear_refs``, which misses no spike and costs nothing. Elsewhere: a psutil sampler.
"""

import ctypes
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from formerbench.measure.process import resident

_CLEAR_REFS = Path("/proc/self/clear_refs")
_MB = 2**20
_SAMPLE_S = 0.01
# mallopt(3): M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
_KEEP_FREED = {-4: 0, -1: 2**31 - 1, -2: 2**26}


class PeakMemory:
    """Starts to watch when made; :meth:`mb` gives the peak since then above the level at the start.

    ``method`` says how: ``cuda_allocator``, ``vm_hwm`` or ``psutil_samples``.
    """

    def __init__(self, device: str):
        gc.collect()
        _hand_back_freed_memory()
        self.on_cuda = device == "cuda"
        self._sampler = None
        self.method = "cuda_allocator" if self.on_cuda else "vm_hwm"
        if self.on_cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            self._baseline = torch.cuda.memory_allocated()
        elif _reset_high_water_mark():
            self._baseline = resident("VmRSS")
        else:
            self.method = "psutil_samples"
            self._sampler = _Sampler()
            self._baseline = self._sampler.peak
        self._peak = self._baseline

    @property
    def baseline_mb(self) -> float:
        """MB at the start."""
        return self._baseline / _MB

    def mb(self) -> float:
        """Peak MB so far above the level at the start; never below 0."""
        self._peak = max(self._peak, self._read())
        return (self._peak - self._baseline) / _MB

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """Let what the block allocates and frees again, such as a file's content, not count."""
        self.mb()
        yield
        _hand_back_freed_memory()
        if self.on_cuda:
            torch.cuda.reset_peak_memory_stats()
        elif self._sampler is not None:
            self._sampler.peak = 0
        else:
            _reset_high_water_mark()

    def _read(self) -> int:
        if self.on_cuda:
            torch.cuda.synchronize()
            return torch.cuda.max_memory_allocated()
        return resident("VmHWM") if self._sampler is None else self._sampler.peak


def _c_library():
    try:
        return ctypes.CDLL(None)
    except OSError:
        return None


def _hand_back_freed_memory() -> None:
    """Let a baseline be what is in use, not what the C library holds in reserve."""
    trim = getattr(_c_library(), "malloc_trim", None)
    if trim is not None:
        trim(0)


def keep_freed_memory() -> bool:
    """Have the C library keep freed memory for the next step instead of handing it back to the system.

    By default glibc returns every large tensor at once and takes it again a moment later; the page faults
    cost a tenth to a third of a training step on the CPU. Peaks stay what they are. Returns whether the C
    library took the settings; others than glibc do not have them.
    """
    mallopt = getattr(_c_library(), "mallopt", None)
    return mallopt is not None and all(mallopt(option, value) == 1 for option, value in _KEEP_FREED.items())


def limit_device_memory(mb: float) -> None:
    """Let this process take so much of the CUDA device and no more, which is a ``torch.OutOfMemoryError``."""
    total = torch.cuda.get_device_properties("cuda").total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, mb * _MB / total))


def load_libraries(device: str) -> None:
    """One tiny training step, so that the code and tables it loads (100 MB) are no part of a later peak."""
    layer = torch.nn.Linear(8, 8, device=device)
    optimizer = torch.optim.Adam(layer.parameters(), fused=True)
    layer(torch.zeros(8, 8, device=device)).sum().backward()
    optimizer.step()


def _reset_high_water_mark() -> bool:
    """Set VmHWM back to the present level; False where the system has no such thing or refuses."""
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return True


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether ``error`` is Python's, CUDA's or the CPU allocator's way to say that there is no memory."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "can't allocate memory" in str(error)


class _Sampler(threading.Thread):
    """Watches resident memory from a thread; may miss a spike shorter than its interval."""

    def __init__(self):
        import psutil

        super().__init__(daemon=True)
        self._process = psutil.Process()
        self.peak = self._process.memory_info().rss
        self.start()

    def run(self) -> None:
        pause = threading.Event()
        while not pause.wait(_SAMPLE_S):
            self.peak = max(self.peak, self._process.memory_info().rss)
