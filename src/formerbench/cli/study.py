"""``formerbench plan`` and ``formerbench train``."""

import json
from pathlib import Path

from formerbench.cli.command import command
from formerbench.errors import StatedError


def add(commands) -> None:
    """Add both commands."""
    _add_plan(commands)
    _add_train(commands)


def _add_plan(commands) -> None:
    plan = command(
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
    plan.add_argument("--status", help="only print the result files of the finished cells of this status")
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
    train = command(
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
    from formerbench.digests import cell_digest
    from formerbench.models import class_path

    row = run(
        cell, data, options.results / cell.study / cell.folder, cell_digest(class_path(cell.build_name))
    )
    if options.json:
        print(json.dumps(row))
    return 0 if row["status"] == "ok" else 1
