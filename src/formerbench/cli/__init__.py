"""The command ``formerbench``. Exit status: 0 done, 1 a stated failure, 2 wrong usage.

Only what a subcommand needs is imported, so that ``train`` and ``profile`` run where torch, numpy, psutil and
safetensors are all there is.
"""

import argparse
import sys

from formerbench import __version__
from formerbench.cli import compare, data, doctor, predict, profile, recommend, study
from formerbench.errors import StatedError


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except StatedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="formerbench",
        description="Benchmark of six time-series transformers. Snakemake runs a whole study (see README); "
        "these commands look at data, plan and compare studies, run single cells, and measure or "
        "recommend models.",
    )
    parser.add_argument("--version", action="version", version=f"formerbench {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for part in (data, study, predict, profile, recommend, compare, doctor):
        part.add(commands)
    return parser
