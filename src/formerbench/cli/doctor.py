"""``formerbench doctor``: is this machine ready, and what to do where it is not."""

import json
from dataclasses import asdict
from pathlib import Path

from formerbench.cli.command import command
from formerbench.errors import StatedError


def add(commands) -> None:
    """Add the command."""
    doctor = command(
        commands,
        "doctor",
        "Check whether this machine is ready and say what to do; exit status 1 if there is a fault.",
        "formerbench doctor --threads 4 --results /scratch/me/results",
        _doctor,
    )
    doctor.add_argument("--threads", type=int, default=2, help="threads of a job (default: 2)")
    doctor.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of the results (default: results)"
    )
    doctor.add_argument("--offline", action="store_true", help="do not look for the data sets")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")


def _doctor(options) -> int:
    from formerbench.diagnosis import diagnose

    if options.threads < 1:
        raise StatedError(f"--threads must be at least 1, but it is {options.threads}")
    findings = diagnose(options.threads, options.results, options.offline)
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            print(f"{finding.state:<8} {finding.check:<8} {finding.found}")
            if finding.advice:
                print(f"{'':<18}{finding.advice}")
    return 1 if any(finding.state == "fault" for finding in findings) else 0
