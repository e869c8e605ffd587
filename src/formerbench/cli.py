"""The command ``formerbench``. Exit status: 0 done, 1 a stated failure, 2 wrong usage.

Only what a subcommand needs is imported, so that ``train`` runs where torch, numpy and safetensors are all
there is.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from formerbench import __version__
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
        "these commands look at data, plan a study, and run single cells of it.",
    )
    parser.add_argument("--version", action="version", version=f"formerbench {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_data(commands)
    _add_plan(commands)
    _add_train(commands)
    return parser


def _command(commands, name: str, help_text: str, example: str, run) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=help_text,
        description=help_text,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _add_data(commands) -> None:
    data = _command(commands, "data", "List, fetch or check data sets.", "formerbench data list", None)
    kinds = data.add_subparsers(title="commands", required=True, metavar="COMMAND")
    listing = _command(kinds, "list", "List the registered data sets.", "formerbench data list", _data_list)
    listing.add_argument("--json", action="store_true", help="print the entries as JSON")
    fetch = _command(
        kinds,
        "fetch",
        "Download data sets into the cache and verify their checksums.",
        "formerbench data fetch ETTh1 Weather",
        _data_fetch,
    )
    check = _command(
        kinds,
        "check",
        "Say where data sets can be had right now; exit status 1 if one of them cannot.",
        "formerbench data check ETTh1 --mirror /data/mirror",
        _data_check,
    )
    for parser in (fetch, check):
        parser.add_argument("dataset", nargs="+", help="name in config/datasets.yaml")
        parser.add_argument("--mirror", help="directory or URL asked first (default: $FORMERBENCH_MIRROR)")
        parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def _data_list(options) -> None:
    from formerbench.data.registry import load_registry

    entries = load_registry().values()
    if options.json:
        print(json.dumps([entry.as_dict() for entry in entries], indent=1))
        return
    print(f"{'name':<12} {'rows':>7} {'variates':>8} {'step':>6} {'season':>6}  licence")
    for entry in entries:
        cells = (entry.name, entry.rows, entry.variates, entry.step, entry.season, entry.licence or "")
        print("{:<12} {:>7} {:>8} {:>6} {:>6}  {}".format(*cells))


def _data_fetch(options) -> None:
    from formerbench.data.download import fetch_into_cache
    from formerbench.data.registry import find

    found = {name: fetch_into_cache(find(name), mirror=options.mirror) for name in options.dataset}
    if options.json:
        print(json.dumps({name: asdict(fetched) for name, fetched in found.items()}, default=str, indent=1))
        return
    for name, fetched in found.items():
        print(f"{name}: {fetched.path} ({fetched.variant}, from {fetched.source})")


def _data_check(options) -> int:
    from formerbench.data.download import reachable
    from formerbench.data.registry import find

    found = {name: reachable(find(name), mirror=options.mirror) for name in options.dataset}
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        nowhere = "cannot be reached (no copy in cache or mirror, and no public source answers)"
        print("\n".join(f"{name}: {where or nowhere}" for name, where in found.items()))
    return 0 if all(found.values()) else 1


def _add_plan(commands) -> None:
    plan = _command(
        commands,
        "plan",
        "Say what a study will run: cells, hours and disk, before anything starts.",
        "formerbench plan config/quick.yaml",
        _plan,
    )
    plan.add_argument("config", type=Path, help="a study's config file")
    plan.add_argument(
        "--results", type=Path, default=Path("results"), help="results folder (default: results)"
    )
    plan.add_argument("--report", action="store_true", help="only print where the study's report is")
    plan.add_argument("--status", help="only print the metrics.json of the finished cells of this status")
    plan.add_argument(
        "--json", action="store_true", help="print the plan with every cell; `formerbench train` reads it"
    )


def _plan(options) -> None:
    from formerbench import planning
    from formerbench.config import load_config

    study = load_config(options.config)
    if options.report:
        print(f"Report: {planning.report_of(study, options.results)}")
        return
    if options.status:
        print("\n".join(planning.of_status(study, options.status, options.results)))
        return
    plan = planning.plan(study, options.results)
    print(json.dumps(plan.as_dict(), indent=1) if options.json else plan.as_text())


def _add_train(commands) -> None:
    train = _command(
        commands,
        "train",
        "Train and test one cell without Snakemake; the files are those that Snakemake would make.",
        "formerbench train config/quick.yaml --dataset ETTh1 --model dlinear --lookback 96 --horizon 96",
        _train,
    )
    train.add_argument("config", type=Path, help="a study's config, or the JSON of `formerbench plan --json`")
    for axis, kind in {"dataset": str, "model": str, "lookback": int, "horizon": int, "seed": int}.items():
        train.add_argument(f"--{axis}", type=kind, help="needed unless the study has one only")
    train.add_argument("--device", choices=("cpu", "cuda"), help="needed unless the study has one only")
    train.add_argument(
        "--precision", choices=("fp32", "bf16", "fp16"), help="needed unless the study has one only"
    )
    train.add_argument(
        "--data", type=Path, help="folder with a prepared data set (default: results/<study>/data/<dataset>)"
    )
    train.add_argument(
        "--results", type=Path, default=Path("results"), help="results folder (default: results)"
    )
    train.add_argument("--json", action="store_true", help="print the row as JSON")


def _train(options) -> int:
    from formerbench import planning
    from formerbench.logs import setup
    from formerbench.results import AXES

    setup()
    axes = {axis: getattr(options, axis) for axis in AXES}
    cell = planning.select(planning.read_cells(options.config), axes)
    data = options.data or options.results / cell.study / "data" / cell.dataset
    if not (data / "series.safetensors").is_file():
        raise StatedError(
            f"there is no prepared data set in {data}; make it by `snakemake --configfile {options.config} "
            f"{data / 'series.safetensors'}`, or name another folder with --data"
        )
    from formerbench.cell import run
    from formerbench.models import class_path
    from formerbench.provenance import cell_digest

    row = run(
        cell, data, options.results / cell.study / cell.folder, cell_digest(class_path(cell.build_name))
    )
    if options.json:
        print(json.dumps(row))
    return 0 if row["status"] == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
