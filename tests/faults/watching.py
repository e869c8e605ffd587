"""What tests of kills and locks look at: the processes of a study, its files, and its tables."""

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from formerbench.results import MEASURED

# Two small trainings of a second or two each; every epoch leaves a state to go on from.
PATCHTST = {"patch_len": 8, "stride": 4, "d_model": 16, "n_heads": 2, "d_ff": 16, "layers": 1}
TWO_MODELS = {
    "models": ["dlinear", "patchtst"],
    "budget": {"steps": 10_000},
    "settings": {
        "dlinear": {"training": {"epochs": 100, "patience": 100}},
        "patchtst": {"model": PATCHTST, "training": {"epochs": 30, "patience": 30}},
    },
}
TABLE = "results/tiny/tables/accuracy.csv"


def wait_until(true: Callable[[], bool], seconds: float = 180.0) -> None:
    """Wait until ``true()``; a fault of the test after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain"
        time.sleep(0.02)


def processes(root: Path, word: str = "") -> list[psutil.Process]:
    """The living processes that work in ``root`` and have ``word`` in their command."""
    found = []
    for process in psutil.process_iter():
        try:
            # What ``sh -c`` waits for is named in the shell's command too.
            words = process.cmdline()
            alive = process.status() != psutil.STATUS_ZOMBIE and "sh" not in words[0].rsplit("/")[-1]
            if alive and word in " ".join(words) and process.cwd() == str(root):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, IndexError):
            continue
    return found


def read_all(results: Path) -> None:
    """Parse every JSON file and table under ``results``, which fails for a part of one."""
    files = [path for path in results.rglob("*") if path.suffix in (".json", ".csv") and path.name[0] != "."]
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:  # a state that has just been replaced
            continue
        assert text.endswith("\n"), f"{path} is not whole"
        if path.suffix == ".json":
            json.loads(text)


def tables(results: Path) -> dict[str, list[dict]]:
    """Every table of a study by name, without the columns that two equal runs may differ in."""
    found = {}
    for path in sorted((results / "tables").glob("*.csv")):
        with path.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found[path.name] = [{key: row[key] for key in row if key not in MEASURED} for row in rows]
    return found
