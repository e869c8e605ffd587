"""``formerbench predict``: a trained cell and a CSV file to a forecast."""

import json
from pathlib import Path

from formerbench.cli.command import command


def add(commands) -> None:
    """Add the command."""
    predict = command(
        commands,
        "predict",
        "Forecast the steps after the last row of a CSV file with the model of a trained cell.",
        "formerbench predict results/quick/accuracy/ETTh1/dlinear/L96_H96/cpu_fp32/seed1 my.csv",
        _predict,
    )
    predict.add_argument("cell", type=Path, help="a cell's folder, with metrics.json and model.safetensors")
    predict.add_argument(
        "csv",
        type=Path,
        help="a CSV file with the columns that the cell was trained on; known inputs go on for the horizon, "
        "in rows with empty variates",
    )
    predict.add_argument(
        "--data", type=Path, help="folder with the cell's prepared data set (default: its study's)"
    )
    predict.add_argument(
        "--config", type=Path, help="the study's config, if its entry says how your own file is read"
    )
    predict.add_argument(
        "--output", type=Path, default=Path("forecast.csv"), help="file to write (default: forecast.csv)"
    )
    predict.add_argument("--json", action="store_true", help="print what was written as JSON")


def _predict(options) -> None:
    from formerbench.forecasting import forecast
    from formerbench.paths import write_text

    found = forecast(options.cell, options.csv, options.data, options.config)
    write_text(options.output, found.as_csv())
    first, last = (str(found.timestamps[i]).replace("T", " ") for i in (0, -1))
    written = {"output": str(options.output), "steps": len(found.values), "first": first, "last": last}
    text = f"{options.output}: {len(found.values)} steps, {first} to {last}"
    print(json.dumps(written) if options.json else text)
