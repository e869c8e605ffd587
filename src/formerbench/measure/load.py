"""Was the machine busy with something else while a cell ran?"""

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_BUSY_SHARE = 0.1  # of the machine's cores


class OtherLoad:
    """Starts to watch when made; :meth:`busy` says what happened since."""

    def __init__(self):
        self._began = self._reading()

    @staticmethod
    def _reading() -> tuple[float, float, float] | None:
        """Seconds of wall time, of CPU time of the machine, and of this process; None where unknown."""
        if not _STAT.exists():
            return None
        fields = [int(field) for field in _STAT.read_text().split("\n", 1)[0].split()[1:]]
        user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
        ticks = user + nice + system + irq + softirq + steal
        return time.monotonic(), ticks / os.sysconf("SC_CLK_TCK"), time.process_time()

    def busy(self) -> bool | None:
        """Whether other processes used more than a tenth of the cores; None where it cannot be known."""
        now = self._reading()
        if now is None or self._began is None:
            return None
        wall, machine, own = (after - before for after, before in zip(now, self._began, strict=True))
        return machine - own > _BUSY_SHARE * wall * (os.cpu_count() or 1)
