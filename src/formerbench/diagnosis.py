"""Whether this machine is ready for a study, check by check, and what to do where it is not."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from formerbench import devices

PYTHON = ((3, 11), (3, 14))  # from the first on, before the second; as in pyproject.toml
TORCH = ((2, 11), (2, 14))
MEMORY_GB = 4
DISK_GB, LEAST_DISK_GB = 5, 0.5
SLURM = ("sbatch", "squeue", "scancel", "scontrol")
SLURM_TIMEOUT_S = 10
MIN_JOB_AGE_S = 120  # three times the 40 s after which the executor first asks unless its profile says less
_INSTALL = "install the package again, as the README says under Start"


@dataclass(frozen=True)
class Finding:
    """What a check found; ``advice`` is empty where there is nothing to do."""

    check: str
    state: Literal["ok", "warning", "fault"]
    found: str
    advice: str = ""


def diagnose(threads: int, results: Path, offline: bool) -> list[Finding]:
    """Run every check; nothing is changed, and nobody is asked over the network if ``offline``."""
    checks: dict[str, Callable[[], Finding]] = {
        "python": python,
        "torch": torch,
        "cores": lambda: cores(threads),
        "memory": memory,
        "gpu": gpu,
        "results": lambda: results_folder(results),
        "data": lambda: data(offline),
        "slurm": slurm,
    }
    return [_with_its_packages(name, check) for name, check in checks.items()]


def python() -> Finding:
    """The Python that runs this."""
    running = ".".join(map(str, sys.version_info[:3]))
    return _version("python", running, PYTHON, "make an environment with such a Python")


def torch() -> Finding:
    """The installed torch, which is not imported."""
    try:
        return _version("torch", version("torch"), TORCH, _INSTALL)
    except PackageNotFoundError:
        return Finding("torch", "fault", "not installed", _INSTALL)


def cores(threads: int) -> Finding:
    """The CPU cores that this process may use, against the threads of a job."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = f"{usable} for jobs of {threads} threads"
    if usable >= threads:
        return Finding("cores", "ok", found)
    return Finding("cores", "fault", found, f"give more cores, or set `threads: {usable}` in the config")


def memory() -> Finding:
    """The memory that is free right now."""
    import psutil

    free = psutil.virtual_memory().available / 2**30
    if free >= MEMORY_GB:
        return Finding("memory", "ok", f"{free:.1f} GB available")
    advice = "end other programs, or take a machine with more; cells that lack memory end as `oom`"
    return Finding("memory", "warning", f"{free:.1f} GB available, below {MEMORY_GB} GB", advice)


def gpu() -> Finding:
    """Whether `devices: [cuda]` can be had; a machine without a GPU is ready for the CPU."""
    why_not = devices.problem("cuda")
    if why_not is None:
        return Finding("gpu", "ok", "CUDA can be used")
    if "torch" in why_not:
        return Finding("gpu", "warning", why_not, "install a torch with CUDA, or keep to `devices: [cpu]`")
    return Finding("gpu", "ok", f"{why_not}; cells run on the CPU")


def results_folder(folder: Path) -> Finding:
    """Room in the folder of the results, or in its nearest parent that exists, and whether it is writable."""
    try:
        there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free / 2**30
    except OSError as error:
        advice = "make it writable for you, or run in another folder"
        return Finding("results", "fault", f"{folder} cannot be written: {error.strerror}", advice)
    found = f"{free:.1f} GB free for {folder}"
    if free >= DISK_GB:
        return Finding("results", "ok", found)
    state = "fault" if free < LEAST_DISK_GB else "warning"
    return Finding("results", state, found, "make room; `formerbench plan CONFIG` says what a study takes")


def data(offline: bool) -> Finding:
    """Whether each registered data set is in the cache, in the mirror or at a public source that answers."""
    if offline:
        return Finding("data", "ok", "not asked for (--offline)")
    from formerbench.data.registry import load_registry

    entries = [entry for entry in load_registry().values() if entry.kind == "download"]
    with ThreadPoolExecutor(max_workers=16) as pool:
        places = dict(zip((entry.name for entry in entries), pool.map(_place, entries), strict=True))
    missing = [name for name, place in places.items() if place is None]
    if not missing:
        cached = list(places.values()).count("cache")
        return Finding("data", "ok", f"{len(places)} data sets can be had, {cached} of them from the cache")
    advice = "set FORMERBENCH_MIRROR to a folder or URL that holds them, or bring the network up"
    return Finding("data", "warning", f"cannot be reached: {', '.join(missing)}", advice)


def slurm() -> Finding:
    """Whether the commands of SLURM are there, answer, and remember ended jobs for long enough."""
    paths = {name: shutil.which(name) for name in SLURM}
    if not (paths["sbatch"] or paths["squeue"]):
        return Finding("slurm", "ok", "no SLURM here")
    missing = [name for name, path in paths.items() if path is None]
    if missing:
        advice = "run on a login node, or have SLURM's client commands installed and on PATH"
        return Finding("slurm", "fault", f"not on PATH: {', '.join(missing)}", advice)
    unanswered = "ask the administrator whether slurmctld runs and can be reached from here"
    try:
        command = [paths["scontrol"], "show", "config"]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=SLURM_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("slurm", "fault", str(error), unanswered)
    if shown.returncode:
        line = (shown.stderr.strip() or f"exit status {shown.returncode}").splitlines()[0]
        return Finding("slurm", "fault", f"scontrol: {line.removeprefix('scontrol: ')}", unanswered)
    age = re.search(r"^\s*MinJobAge\s*=\s*(\d+)", shown.stdout, flags=re.MULTILINE)
    if age is None:
        return Finding("slurm", "fault", "scontrol show config names no MinJobAge", unanswered)
    if int(age[1]) >= MIN_JOB_AGE_S:
        return Finding("slurm", "ok", f"answers; MinJobAge {age[1]} s")
    advice = (
        "the executor asks squeue for ended jobs, which slurmctld forgets after MinJobAge; "
        "set MinJobAge=300 in slurm.conf or ask the administrator to"
    )
    return Finding("slurm", "warning", f"MinJobAge {age[1]} s, below {MIN_JOB_AGE_S} s", advice)


def _with_its_packages(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except ImportError as error:
        return Finding(name, "fault", f"cannot be checked: {error}", _INSTALL)


def _place(entry) -> str | None:
    from formerbench.data.download import reachable

    try:
        return reachable(entry)
    except OSError:  # a cache or mirror that may not be read
        return None


def _version(check: str, found: str, wanted: tuple, advice: str) -> Finding:
    numbers = re.match(r"(\d+)\.(\d+)", found)
    if numbers and wanted[0] <= tuple(map(int, numbers.groups())) < wanted[1]:
        return Finding(check, "ok", found)
    first, before = (".".join(map(str, one)) for one in wanted)
    return Finding(check, "fault", f"{found}; wanted >= {first}, < {before}", advice)
