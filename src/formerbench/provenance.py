"""Where a row comes from: versions, commit, machine."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import formerbench


def provenance() -> dict:
    """Versions, commit and machine, as the provenance columns name them."""
    commit = _git("rev-parse", "HEAD")
    return {
        "package_version": formerbench.__version__,
        "git_commit": commit,
        "git_dirty": None if commit is None else bool(_git("status", "--porcelain")),
        "host": platform.node(),
        "cpu": cpu_model(),
        "torch_version": version("torch"),
        "python_version": platform.python_version(),
    }


def _git(*arguments: str) -> str | None:
    """Output of git in this project's own checkout; None for an installed package."""
    root = Path(formerbench.__file__).resolve().parents[2]
    if not (root / "Snakefile").is_file():
        return None
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def cpu_model() -> str:
    """Name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
