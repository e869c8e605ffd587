"""Every configuration on both sides, ours and the peer's by turns, each measurement in a fresh process.

    python -m tests.peers.compare --models informer tft --lookbacks 96 --rounds 1 --phases train_step

Rows are written as they come; those of an earlier run stay unless they are measured again.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from formerbench.provenance import provenance

from . import table
from .settings import PEERS, PHASES, SIDES, Pair, pairs

ROOT = Path(__file__).resolve().parents[2]


class NotRun(Exception):
    """A process of ``once`` ended without a result."""


def run(side: str, pair: Pair, phase: str, arguments: argparse.Namespace, *, count: bool) -> dict:
    """One measurement in a fresh process; again, a few times, if the machine was busy with something else."""
    command = [sys.executable, "-m", f"{__package__}.once", side, pair.model, str(pair.lookback), phase]
    command += ["--threads", str(arguments.threads), "--seconds", str(arguments.seconds)]
    command += ["--count"] * count
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(arguments.threads))
    for _ in range(arguments.tries):
        done = subprocess.run(command, cwd=ROOT, env=os.environ | limits, capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise NotRun(f"{side} ended with {done.returncode}: {last}")
        found = json.loads(done.stdout.splitlines()[-1])
        if not found["busy"]:
            break
    return found


def compare(pair: Pair, phase: str, arguments: argparse.Namespace) -> table.Rounds:
    """All rounds of a configuration; of the peer none, and why, if it cannot do it, as for want of memory.

    Raises:
        NotRun: our side cannot.
    """
    found, problem = {side: [] for side in SIDES}, ""
    for number in range(arguments.rounds):
        # Who comes first alternates, so that a machine that grows warm or busy favours neither.
        for side in SIDES[:: 1 if number % 2 == 0 else -1]:
            if side == "peer" and problem:
                continue
            try:
                found[side].append(run(side, pair, phase, arguments, count=not found[side]))
            except NotRun as error:
                if side == "ours":
                    raise
                problem = str(error)
                found["peer"].clear()
    return table.Rounds(**found, problem=problem)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--lookbacks", nargs="+", type=int, help="of 96, 336, 720, 1440; default all")
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=list(PHASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each run repeats its step")
    parser.add_argument("--tries", type=int, default=3, help="of a run that others on the machine disturb")
    parser.add_argument("--output", type=Path, default=ROOT / "results/reference/peers.csv")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    origin = provenance() | {
        "peer_version": version("neuralforecast"),
        "threads": arguments.threads,
        "rounds": arguments.rounds,
    }
    wanted = [(p, phase) for p in pairs(arguments.models, arguments.lookbacks) for phase in arguments.phases]
    failed = 0
    for number, (pair, phase) in enumerate(wanted, start=1):
        began, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
        try:
            row = table.row(pair, phase, compare(pair, phase, arguments))
        except NotRun as error:
            failed += 1
            outcome = str(error)
        else:
            table.merge(arguments.output, origin | row | {"started_at": began})
            outcome = table.outcome(row)
        where = f"[{number}/{len(wanted)}] {pair.model} L={pair.lookback} d={pair.d_model} {phase}"
        print(f"{where}: {outcome} ({time.monotonic() - clock:.0f} s)", flush=True)
    print(table.summary(table.read(arguments.output)))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
